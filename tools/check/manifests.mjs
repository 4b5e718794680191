// What somebody who finds a package in the registry needs: a README that shows how to use it, a license, and a
// package.json without holes.

const requiredFields = /** @type {const} */ ([
  'name',
  'version',
  'description',
  'license',
  'type',
  'exports',
  'engines',
]);

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkManifests(workspace) {
  const root = JSON.parse(workspace.read('package.json'));
  const license = workspace.read('LICENSE');
  const failures = workspace.packages.flatMap(pack => [
    ...wrongManifest(pack, workspace, root.engines?.node),
    ...wrongReadme(pack, workspace),
    ...(workspace.files.includes(`${pack.path}/LICENSE`) && workspace.read(`${pack.path}/LICENSE`) === license
      ? []
      : [`${pack.path}/LICENSE: must be a copy of the root's LICENSE, since only files of the package are published`]),
  ]);
  /** @type {{ path: string }[]} */
  const references = JSON.parse(workspace.read('tsconfig.json')).references ?? [];
  for (const { path } of workspace.packages) {
    if (!references.some(reference => reference.path === path)) {
      failures.push(`tsconfig.json: references lack ${path}, so that tsc -b does not build it`);
    }
  }
  return { failures, note: `${workspace.packages.length} packages` };
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string | undefined} node the root's Node range
 */
function wrongManifest({ path, short, manifest }, { scope }, node) {
  const file = `${path}/package.json`;
  const failures = requiredFields.filter(field => !manifest[field]).map(field => `${file}: ${field} is missing`);
  if ('private' in manifest) failures.push(`${file}: 'private' must be absent, the package is published`);
  if (manifest.name !== scope + short) failures.push(`${file}: name is ${manifest.name}, expected ${scope}${short}`);
  if (manifest.type !== 'module') failures.push(`${file}: type is ${manifest.type}, expected "module"`);
  if (manifest.engines?.node !== node) {
    failures.push(`${file}: engines.node is ${manifest.engines?.node}, expected the root's ${node}`);
  }
  if (!manifest.peerDependencies?.['@tensorflow/tfjs-core'] && !manifest.dependencies?.['@tensorflow/tfjs-core']) {
    failures.push(`${file}: peerDependencies lack @tensorflow/tfjs-core; two copies of it would not share tensors`);
  }
  if (manifest.dependencies?.['@tensorflow/tfjs-core']) {
    failures.push(`${file}: @tensorflow/tfjs-core belongs to peerDependencies, or a user may get a second copy of it`);
  }
  for (const entry of ['dist', 'README.md', 'LICENSE']) {
    if (!manifest.files?.includes(entry)) failures.push(`${file}: files lack ${entry}`);
  }
  return failures;
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Workspace} workspace
 */
function wrongReadme({ path, manifest }, { files, read }) {
  const file = `${path}/README.md`;
  if (!files.includes(file)) return [`${file}: missing`];
  const text = read(file);
  const failures = [];
  if (!/^# \S/.test(text)) failures.push(`${file}: must start with a title ('# ${manifest.name}')`);
  if (!new RegExp(`npm (install|i) .*${manifest.name}`).test(text)) {
    failures.push(`${file}: lacks an install line ('npm install ${manifest.name}')`);
  }
  const blocks = [...text.matchAll(/^```(?:ts|sh|bash|shell)\b.*\n([\s\S]*?)^```/gm)].map(([, code]) => code ?? '');
  const command = Object.keys(manifest.bin ?? {})[0];
  const shown = blocks.some(
    code =>
      (!/^\s*npm /.test(code) && code.includes(manifest.name ?? '\0')) ||
      (command && new RegExp(`^(npx )?${command}\\b`, 'm').test(code)),
  );
  if (!shown) failures.push(`${file}: lacks an example code block that uses ${manifest.name}`);
  return failures;
}
