import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty folder that is removed after the test. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'frugal-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Mounts a file system of its own for a test, such as `700k` or `4m` large; the reason if that is not possible here. */
export function smallDisk(size: string): { readonly folder: string } | { readonly reason: string } {
  if (process.platform !== 'linux') return { reason: 'tmpfs exists on Linux only' };
  if (process.getuid?.() !== 0) return { reason: 'mounting takes root' };
  const folder = mkdtempSync(join(tmpdir(), 'frugal-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    rmSync(folder, { recursive: true });
    return { reason: `mount failed: ${(error as Error).message}` };
  }
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder], { stdio: 'pipe' });
    rmSync(folder, { recursive: true });
  });
  return { folder };
}

/** Makes a mounted file system read-only. */
export function makeReadOnly(folder: string): void {
  execFileSync('mount', ['-o', 'remount,ro', folder], { stdio: 'pipe' });
}
