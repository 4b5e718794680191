// Turns changesets into the section of CHANGELOG.md for one version. Changesets would write a file into every package; as
// all have one version, those files would say the same sixteen times.

/** @typedef {'major' | 'minor' | 'patch'} Bump */
/** @typedef {{ bump: Bump, packages: string[], summary: string }} Change */

const titles = /** @type {const} */ ({ major: 'Breaking', minor: 'New', patch: 'Mended' });

/**
 * @param {string} text of a file of .changeset/
 * @param {string} file its name, for the error
 * @returns {Change} with the greatest bump that it asks for
 * @throws {Error} if it has no front matter or no summary
 */
export function readChange(text, file) {
  const [, head = '', summary = ''] = /^---\n([\s\S]*?)\n?---\n([\s\S]*)$/.exec(text) ?? [];
  const entries = [...head.matchAll(/^["']?([@\w/-]+)["']?: (major|minor|patch)$/gm)];
  if (entries.length === 0 || summary.trim() === '') {
    throw new Error(`${file}: expected packages with their bumps between two lines '---', and then what has changed`);
  }
  const bumps = entries.map(([, , bump]) => /** @type {Bump} */ (bump));
  const bump = /** @type {Bump[]} */ (['major', 'minor', 'patch']).find(kind => bumps.includes(kind)) ?? 'patch';
  return { bump, packages: entries.map(([, name = '']) => name), summary: summary.trim() };
}

/**
 * @param {string} changelog
 * @param {string} version
 * @param {readonly Change[]} changes
 * @returns {string} the changelog with a section for the version, before that of the version before
 */
export function addVersion(changelog, version, changes) {
  const parts = /** @type {Bump[]} */ (['major', 'minor', 'patch']).flatMap(bump => {
    const lines = changes.filter(change => change.bump === bump).map(entryOf);
    return lines.length > 0 ? [`### ${titles[bump]}\n\n${lines.join('\n')}\n`] : [];
  });
  const section = `## ${version}\n\n${parts.join('\n')}\n`;
  const before = changelog.search(/^## /m);
  return before < 0
    ? `${changelog.trimEnd()}\n\n${section}`
    : changelog.slice(0, before) + section + changelog.slice(before);
}

/** @param {Change} change */
function entryOf({ packages, summary }) {
  const names = packages.map(name => name.replace(/^@frugaljs\//, '')).join(', ');
  return `- ${names}: ${summary.replaceAll('\n', '\n  ')}`;
}
