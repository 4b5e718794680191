import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** How Node starts the command `frugal` from source; conditions of this commit and of earlier ones. */
export const FRUGAL: readonly string[] = [
  '--conditions=@frugaljs/source',
  '--conditions=source',
  '--import',
  // By its address, as commands run in other folders.
  import.meta.resolve('tsx'),
  path.join(ROOT, 'packages/trainer/src/cli.ts'),
];

/** Runs `frugal` to its end, or for at most so many seconds. */
export function frugal(args: readonly string[], cwd: string, seconds = 60): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [...FRUGAL, ...args], {
    cwd,
    encoding: 'utf8',
    timeout: 1000 * seconds,
    killSignal: 'SIGKILL',
  });
}
