// What somebody who finds a package in the registry needs: a README that shows how to use it, a license, and a
// package.json without holes. An application is not published; whoever finds it in the repository needs to know how to
// run it.
import { isApplication } from './workspace.mjs';

const requiredFields = /** @type {const} */ (['name', 'version', 'description', 'license', 'type', 'engines']);

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkManifests(workspace) {
  /** @type {import('./workspace.mjs').Manifest} */
  const root = JSON.parse(workspace.read('package.json'));
  const license = workspace.read('LICENSE');
  const failures = workspace.packages.flatMap(pack => [
    ...wrongManifest(pack, workspace, root.engines?.node),
    ...(isApplication(pack)
      ? [...wrongApplication(pack), ...wrongApplicationReadme(pack, workspace)]
      : [
          ...wrongPublication(pack, workspace),
          ...wrongAddresses(pack, root),
          ...wrongReadme(pack, workspace),
          ...wrongLicense(pack, workspace, license),
        ]),
  ]);
  /** @type {{ path: string }[]} */
  const references = JSON.parse(workspace.read('tsconfig.json')).references ?? [];
  for (const { path } of workspace.packages) {
    if (!references.some(reference => reference.path === path)) {
      failures.push(`tsconfig.json: references lack ${path}, so that tsc -b does not build it`);
    }
  }
  failures.push(...workspace.examples.flatMap(example => wrongExample(example, workspace, root.engines?.node)));
  return { failures, note: `${workspace.packages.length} packages, ${workspace.examples.length} examples` };
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string | undefined} node the root's Node range
 */
function wrongManifest({ path, short, manifest }, { scope }, node) {
  const file = `${path}/package.json`;
  const failures = requiredFields.filter(field => !manifest[field]).map(field => `${file}: ${field} is missing`);
  // The one package without a scope is called as the whole.
  const name = short === 'frugaljs' ? short : scope + short;
  if (manifest.name !== name) failures.push(`${file}: name is ${manifest.name}, expected ${name}`);
  if (manifest.type !== 'module') failures.push(`${file}: type is ${manifest.type}, expected "module"`);
  if (manifest.engines?.node !== node) {
    failures.push(`${file}: engines.node is ${manifest.engines?.node}, expected the root's ${node}`);
  }
  return failures;
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Workspace} workspace
 */
function wrongPublication({ path, manifest, sources }, { read }) {
  const file = `${path}/package.json`;
  const failures = manifest.exports ? [] : [`${file}: exports is missing`];
  if ('private' in manifest) failures.push(`${file}: 'private' must be absent, the package is published`);
  const usesTensors = sources.some(source => read(source).includes('@tensorflow/'));
  if (
    usesTensors &&
    !manifest.peerDependencies?.['@tensorflow/tfjs-core'] &&
    !manifest.dependencies?.['@tensorflow/tfjs-core']
  ) {
    failures.push(`${file}: peerDependencies lack @tensorflow/tfjs-core; two copies of it would not share tensors`);
  }
  if (manifest.dependencies?.['@tensorflow/tfjs-core']) {
    failures.push(`${file}: @tensorflow/tfjs-core belongs to peerDependencies, or a user may get a second copy of it`);
  }
  for (const entry of ['dist', '!dist/.tsbuildinfo', 'README.md', 'LICENSE']) {
    if (!manifest.files?.includes(entry)) failures.push(`${file}: files lack ${entry}`);
  }
  return failures;
}

// The address of the repository stands in the root's package.json. npm asks for it in every tarball, and refuses provenance
// where it is not that of the workflow.
/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Manifest} root
 */
function wrongAddresses({ path, manifest }, { bugs, repository }) {
  const expected = {
    homepage: `${repository?.url?.replace(/^git\+|\.git$/g, '')}/tree/main/${path}#readme`,
    bugs,
    repository: { ...repository, directory: path },
  };
  return /** @type {const} */ (['homepage', 'bugs', 'repository'])
    .filter(field => JSON.stringify(manifest[field]) !== JSON.stringify(expected[field]))
    .map(field => `${path}/package.json: ${field} must be ${JSON.stringify(expected[field])}, as the root has it`);
}

/** @param {import('./workspace.mjs').Package} pack */
function wrongApplication({ path, manifest }) {
  const file = `${path}/package.json`;
  const failures = [];
  for (const field of /** @type {const} */ (['exports', 'files', 'peerDependencies'])) {
    if (manifest[field]) failures.push(`${file}: ${field} says that it is for others to install, and private that not`);
  }
  if (!manifest.scripts?.['build']) failures.push(`${file}: scripts lack build, which npm run build would run`);
  return failures;
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Workspace} workspace
 */
function wrongApplicationReadme({ path, manifest }, { files, read }) {
  const file = `${path}/README.md`;
  if (!files.includes(file)) return [`${file}: missing`];
  const text = read(file);
  const failures = /^# \S/.test(text) ? [] : [`${file}: must start with a title ('# ${manifest.name}')`];
  if (!/^```sh\n(?:.*\n)*?npm (run|start)\b/m.test(text)) {
    failures.push(`${file}: lacks a code block with the command that runs it ('npm run …')`);
  }
  return failures;
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string} license text of the root's
 */
function wrongLicense({ path }, { files, read }, license) {
  const file = `${path}/LICENSE`;
  if (files.includes(file) && read(file) === license) return [];
  return [`${file}: must be a copy of the root's LICENSE, since only files of the package are published`];
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

// An example is copied: its package.json asks for what it needs as that of a user would, and its README has the command and
// what that prints.
/**
 * @param {import('./workspace.mjs').Example} example
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string | undefined} node the root's Node range
 */
function wrongExample({ path, manifest }, { files, packages, read }, node) {
  const file = `${path}/package.json`;
  const failures = [];
  if (manifest.private !== true) failures.push(`${file}: private must be true, an example is not published`);
  if (manifest.version) failures.push(`${file}: version must be absent, an example has no releases`);
  if (manifest.type !== 'module') failures.push(`${file}: type is ${manifest.type}, expected "module"`);
  if (!manifest.description) failures.push(`${file}: description is missing`);
  if (!manifest.scripts?.['start']) failures.push(`${file}: scripts lack start, which runs it`);
  if (manifest.engines?.node !== node) {
    failures.push(`${file}: engines.node is ${manifest.engines?.node}, expected the root's ${node}`);
  }
  const named = new Map(packages.map(pack => [pack.manifest.name, `^${pack.manifest.version}`]));
  for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
    const expected = named.get(name);
    if (expected && range !== expected) failures.push(`${file}: asks for ${name} ${range}, expected ${expected}`);
  }
  const readme = `${path}/README.md`;
  if (!files.includes(readme)) return [...failures, `${readme}: missing`];
  const text = read(readme);
  if (!/^# \S/.test(text)) failures.push(`${readme}: must start with a title`);
  if (!/^```sh\nnpm start$/m.test(text)) failures.push(`${readme}: lacks a code block with 'npm start'`);
  if (!/^```text\n[\s\S]*?^optimizer /m.test(text)) failures.push(`${readme}: lacks a text block with what it prints`);
  if (!files.includes('examples/README.md') || !read('examples/README.md').includes(`${path.slice(9)}/README.md`)) {
    failures.push(`examples/README.md: lacks a link to ${path}`);
  }
  return failures;
}
