import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What makes Node run TypeScript and take the packages from their sources, in whatever folder it is started. */
export const FROM_SOURCE: readonly string[] = ['--conditions=@frugaljs/source', '--import', import.meta.resolve('tsx')];

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Runs a TypeScript program in a Node process of its own.
 *
 * @returns What it printed.
 * @throws When it ends with another code than 0.
 */
export function runProgram(file: URL, ...args: readonly string[]): Promise<string> {
  return output([fileURLToPath(file), ...args], process.env);
}

/** Runs the text of a module in the same way. */
export function runModule(code: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  return output(['--input-type=module', '--eval', code], { ...process.env, ...env });
}

async function output(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const options = { cwd: root, env, maxBuffer: 2 ** 28 };
  const { stdout } = await promisify(execFile)(process.execPath, [...FROM_SOURCE, ...args], options);
  return stdout;
}
