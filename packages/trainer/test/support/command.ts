import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FROM_SOURCE } from '../../../../tools/test-support/node-process.js';
import { runCommand } from '../../src/cli/program.js';
import { lines, TINY } from './tiny.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command, started from source as `npm run frugal` does; `watch` sees its standard error as it comes. */
export function frugal(
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string>; watch?: (child: ChildProcess, stderr: string) => void },
): Promise<Outcome> {
  return node([cli, ...args], options);
}

/** Runs a TypeScript program from source. */
export function node(
  args: readonly string[],
  { cwd, env = {}, watch }: Parameters<typeof frugal>[1],
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const { command, env: own } = fromSource(args);
    const child = spawn(command[0]!, command.slice(1), {
      cwd,
      env: { ...own, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      watch?.(child, stderr);
    });
    child.on('error', reject).on('close', code => resolve({ code, stdout, stderr }));
  });
}

/** How to start the command as a process, for tests that need to hold its streams. */
export function frugalProcess(args: readonly string[]): ReturnType<typeof fromSource> {
  return fromSource([cli, ...args]);
}

function fromSource(args: readonly string[]): { readonly command: readonly string[]; readonly env: NodeJS.ProcessEnv } {
  return {
    command: [process.execPath, ...FROM_SOURCE, ...args],
    env: { ...withoutNpm(process.env), TSX_TSCONFIG_PATH: join(root, 'tsconfig.base.json') },
  };
}

/** As in a shell: under npm the command would speak of itself as npm's. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('npm_')));
}

/** The command without a process of its own; paths start where this process is. */
export async function frugalHere(...args: string[]): Promise<Outcome & { readonly code: number }> {
  let [stdout, stderr] = ['', ''];
  const code = await runCommand(args, {
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
  });
  return { code, stdout, stderr };
}

/** A folder with a text and a model configuration, and the flags that make small runs of them. */
export function smallRun(): { readonly folder: string; readonly flags: string[]; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'frugal-'));
  writeFileSync(join(folder, 'lines.txt'), lines(400));
  writeFileSync(join(folder, 'model.json'), JSON.stringify(TINY));
  return {
    folder,
    flags: [
      '--data',
      join(folder, 'lines.txt'),
      '--config',
      join(folder, 'model.json'),
      '--batch',
      '4',
      '--length',
      '16',
    ],
    remove: () => rmSync(folder, { recursive: true }),
  };
}
