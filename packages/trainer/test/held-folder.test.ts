import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { frugal, smallRun } from './support/command.js';

vi.setConfig({ testTimeout: 240_000 });

const { folder, flags, remove } = smallRun();
afterAll(remove);

const train = ['train', ...flags, '--sample', '0', '--save', 'run', '--save-every', '2', '--resume', 'auto'];
const checkpoints = (): string[] => readdirSync(join(folder, 'run')).filter(name => !name.startsWith('.'));

/** Starts a run that does not end by itself; resolves once it has saved. */
async function started(): Promise<{ child: ChildProcess; ended: ReturnType<typeof frugal> }> {
  let child: ChildProcess | null = null;
  const ended = frugal([...train, '--steps', '1000000'], {
    cwd: folder,
    watch: each => {
      child = each;
    },
  });
  const before = existsSync(join(folder, 'run')) ? checkpoints().join() : '';
  await vi.waitFor(() => expect(['', before]).not.toContain(checkpoints().join()), { timeout: 120_000, interval: 20 });
  return { child: child!, ended };
}

test('a second run is refused while the first one trains, and goes on at once when that was killed', async () => {
  const first = await started();
  const refused = await frugal([...train, '--steps', '1000000'], { cwd: folder });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /^frugal: .*\/run: expected a place that no other run saves into, found one that is held by process \d+ on \S+ since .*, last renewed .*\. Take another folder, or wait until that run has ended\. If it certainly has, remove .*\/run\/\.lease\.$/m,
  );
  // Reading is nobody's business.
  const reader = await frugal(['train', '--resume', 'run', '--no-save', '--steps', '1'], { cwd: folder });
  expect(reader.stderr).toContain('train.steps');
  expect(first.child.exitCode).toBeNull();

  first.child.kill('SIGKILL');
  await first.ended;
  const last = checkpoints().sort().at(-1)!;
  const second = await started();
  // The second Ctrl-C leaves at once, and leaves the folder to the next.
  second.child.kill('SIGINT');
  setTimeout(() => second.child.kill('SIGINT'), 400);
  const { code, stderr } = await second.ended;
  expect(code).toBe(130);
  if (process.platform === 'linux') expect(stderr).not.toContain('Waiting');
  expect(stderr).toContain(`(${last})`);
  expect(readdirSync(join(folder, 'run')).filter(name => name.startsWith('.'))).toEqual([]);
});
