// Nothing committed may depend on the machine it was written on.

const patterns = [
  // A path of one machine; `/home/` inside an URL or after a word is something else.
  { what: 'absolute machine path', found: /(?<![\w.:/-])\/(?:work|home|root|Users)\/[\w.-]+/ },
  { what: 'absolute machine path', found: /\b[A-Z]:\\(?:Users|work)\\/ },
  { what: 'registry host', found: /\bregistry\.[a-z0-9-]+\.(?:org|com|net|io|dev)\b/i },
  { what: 'registry host', found: /\b(?:npmjs|yarnpkg|npmmirror|pypi)\.(?:org|com)\b/i },
];
const binary = /\.(png|jpe?g|gif|ico|wasm|woff2?|safetensors|gz|tgz|bin)$/i;

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkPortability(workspace) {
  const texts = workspace.files.filter(file => !binary.test(file));
  const failures = texts.flatMap(file =>
    workspace
      .read(file)
      .split('\n')
      .flatMap((line, index) => {
        const hit = patterns.map(({ what, found }) => [what, found.exec(line)?.[0]]).find(([, text]) => text);
        return hit ? [`${file}:${index + 1}: ${hit[0]} '${hit[1]}'`] : [];
      }),
  );
  return { failures: [...failures, ...foreignUrls(workspace)], note: `${texts.length} files` };
}

/** @param {import('./workspace.mjs').Workspace} workspace */
function foreignUrls({ files, read }) {
  if (!files.includes('package-lock.json')) return [];
  /** @type {Record<string, { resolved?: string }>} */
  const entries = JSON.parse(read('package-lock.json')).packages;
  return Object.entries(entries)
    .filter(([, { resolved }]) => /^[a-z+]+:/.test(resolved ?? ''))
    .map(
      ([place, { resolved }]) =>
        `package-lock.json: ${place} is bound to ${resolved}; .npmrc sets omit-lockfile-registry-resolved, run npm install`,
    );
}
