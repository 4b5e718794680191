// Relative links in Markdown lead to files that exist, and #fragments to headings that exist.
import { posix } from 'node:path';

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkLinks({ files, read }) {
  const known = new Set(files.flatMap(file => [file, ...foldersOf(file)]));
  const pages = files.filter(file => file.endsWith('.md'));
  let links = 0;
  const failures = pages.flatMap(page =>
    linksOf(read(page)).flatMap(({ target, line }) => {
      if (/^[a-z+]+:/.test(target)) return [];
      links++;
      const [path = '', fragment] = target.split('#');
      const file = path === '' ? page : posix.join(posix.dirname(page), decodeURI(path)).replace(/\/$/, '');
      if (!known.has(file)) return [`${page}:${line}: link to ${target}, but ${file} does not exist`];
      if (!fragment || !file.endsWith('.md') || anchorsOf(read(file)).has(fragment)) return [];
      return [`${page}:${line}: link to ${target}, but ${file} has no such heading`];
    }),
  );
  return { failures, note: `${links} relative links in ${pages.length} pages` };
}

/**
 * @param {string} file
 * @returns {string[]}
 */
function foldersOf(file) {
  const folder = posix.dirname(file);
  return folder === '.' ? [folder] : [folder, ...foldersOf(folder)];
}

/**
 * @param {string} text
 * @returns {{ target: string, line: number }[]}
 */
function linksOf(text) {
  return withoutCode(text).flatMap((line, index) =>
    [...line.matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target = '']) => ({ target, line: index + 1 })),
  );
}

// Anchor names as code hosts derive them from headings.
/** @param {string} text */
function anchorsOf(text) {
  const headings = withoutCode(text, false).filter(line => /^#{1,6} /.test(line));
  return new Set(
    headings.map(line =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replace(/\s/g, '-'),
    ),
  );
}

// Lines with fenced blocks (and, for links, inline code) emptied, so that line numbers stay.
/**
 * @param {string} text
 * @param {boolean} [inlineToo]
 */
function withoutCode(text, inlineToo = true) {
  let fenced = false;
  return text.split('\n').map(line => {
    if (/^\s*(```|~~~)/.test(line)) {
      fenced = !fenced;
      return '';
    }
    if (fenced) return '';
    return inlineToo ? line.replace(/`[^`]*`/g, '') : line;
  });
}
