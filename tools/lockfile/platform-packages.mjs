// Binary tools (biome, nx, esbuild) ship one optional package per platform. `npm ci` refuses a lock file that does not
// list every one of them, also those that this machine will never install; npm leaves an entry out when the registry it
// asked did not serve the package. The entry can be written without asking: name and exact version come from the parent
// package, and npm needs only os, cpu and libc to know that the package is not for this machine.

const systems = new Map([
  ['android', 'android'],
  ['darwin', 'darwin'],
  ['freebsd', 'freebsd'],
  ['linux', 'linux'],
  ['win32', 'win32'],
]);
const processors = new Set(['x64', 'arm64', 'arm', 'ia32']);

/**
 * Platform that a binary package's name stands for, such as `@nx/nx-linux-x64-musl`.
 *
 * @param {string} name
 * @returns {{ os: string[], cpu: string[], libc?: string[] } | null} null: the name ends in no known platform
 */
export function platformOf(name) {
  const words = name.split('/').at(-1)?.split('-') ?? [];
  const at = words.findIndex(word => systems.has(word));
  const os = systems.get(words[at] ?? '');
  const cpu = words[at + 1];
  if (!os || !cpu || !processors.has(cpu)) return null;
  const abi = words[at + 2];
  if (os !== 'linux') return { os: [os], cpu: [cpu] };
  return { os: [os], cpu: [cpu], libc: [abi === 'musl' ? 'musl' : 'glibc'] };
}

/**
 * @typedef {{ version?: string, dev?: boolean, optional?: boolean, os?: string[], cpu?: string[], libc?: string[],
 *   optionalDependencies?: Record<string, string> }} LockEntry
 * @typedef {{ packages: Record<string, LockEntry> }} Lock
 */

/**
 * Optional packages that an entry of the lock file asks for and that the lock file does not describe.
 *
 * @param {Lock} lock parsed package-lock.json (lockfileVersion 3)
 * @returns {{ parent: string, name: string, version: string, dev: boolean }[]}
 */
export function missingPlatformPackages(lock) {
  const missing = [];
  for (const [place, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const known = lock.packages[`${place}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`];
      if (!known) missing.push({ parent: place, name, version, dev: entry.dev === true });
    }
  }
  return missing;
}

/**
 * Adds the missing entries in place, in the order npm itself writes (sorted by path).
 *
 * @param {Lock} lock
 * @returns {string[]} names added
 * @throws {Error} if a name shows no platform or a version is a range: neither can be written without asking a registry
 */
export function completeLock(lock) {
  const added = [];
  for (const { parent, name, version, dev } of missingPlatformPackages(lock)) {
    const platform = platformOf(name);
    if (!platform || !/^\d+\.\d+\.\d+/.test(version)) {
      throw new Error(
        `package-lock.json: ${parent} wants the optional package ${name}@${version}, which has no entry; ` +
          'expected NAME-OS-CPU[-LIBC] at an exact version. Run npm install against a registry that serves it.',
      );
    }
    const { cpu, libc, os } = platform;
    lock.packages[`node_modules/${name}`] = {
      version,
      cpu,
      ...(dev && { dev }),
      ...(libc && { libc }),
      optional: true,
      os,
    };
    added.push(name);
  }
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')));
  return added;
}
