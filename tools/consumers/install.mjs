// A folder like that of somebody who installed the packages: their tarballs, unpacked under node_modules, and what they ask
// for from the registry, linked from the workspace. Nothing in it leads to the sources of the workspace.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isApplication } from '../check/workspace.mjs';

const run = promisify(execFile);

/**
 * @param {import('../check/workspace.mjs').Workspace} workspace built
 * @returns {Promise<{ folder: string, remove: () => void }>}
 */
export async function installPackages({ root, packages }) {
  const folder = mkdtempSync(join(tmpdir(), 'frugal-consumer-'));
  const remove = () => rmSync(folder, { recursive: true });
  try {
    const published = packages.filter(pack => !isApplication(pack));
    const tarballs = join(folder, 'tarballs');
    mkdirSync(tarballs);
    const options = ['--ignore-scripts', '--json', '--pack-destination', tarballs];
    const chosen = published.flatMap(({ path }) => ['--workspace', path]);
    const { stdout } = await run('npm', ['pack', ...options, ...chosen], { cwd: root, maxBuffer: 2 ** 26 });
    /** @type {{ name: string, filename: string }[]} */
    const packed = JSON.parse(stdout);
    for (const { name, filename } of packed) {
      const target = join(folder, 'node_modules', name);
      mkdirSync(target, { recursive: true });
      // npm names the file in its report by the package's name with a slash in some versions, and on disk without.
      const tarball = join(tarballs, filename.replace('@', '').replace('/', '-'));
      await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', target]);
    }
    const asked = published.flatMap(({ manifest }) =>
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
    );
    for (const name of new Set([...asked, '@types/node', 'typescript'])) {
      const [source, target] = [join(root, 'node_modules', name), join(folder, 'node_modules', name)];
      if (existsSync(target) || !existsSync(source)) continue;
      mkdirSync(dirname(target), { recursive: true });
      symlinkSync(source, target, 'junction');
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
    rmSync(tarballs, { recursive: true });
    return { folder, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
