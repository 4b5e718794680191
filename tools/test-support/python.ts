import { execFileSync } from 'node:child_process';

/**
 * The Python that has what a test needs: `$FRUGAL_PYTHON`, else `python3`. Null when neither does, which is said on the
 * console.
 *
 * @param packages What it must have, in words.
 * @param probe A script that fails where something is missing.
 */
export function findPython(packages: string, probe: string): string | null {
  const tried: string[] = [];
  for (const python of [process.env['FRUGAL_PYTHON'], 'python3']) {
    if (!python) continue;
    try {
      execFileSync(python, ['-c', probe], { stdio: 'pipe' });
      return python;
    } catch (error) {
      tried.push(`${python}: ${`${(error as { stderr?: Buffer }).stderr ?? error}`.trim().split('\n').at(-1)}`);
    }
  }
  console.log(`Skipped: no Python with ${packages}; set FRUGAL_PYTHON to one that has them (${tried.join('; ')})`);
  return null;
}

/** Runs a script; what it printed. */
export function runPython(python: string, script: string, ...args: readonly string[]): string {
  return execFileSync(python, ['-c', script, ...args], { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}
