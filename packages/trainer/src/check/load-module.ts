import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidOptionError } from '@frugaljs/core';

/**
 * Loads a module of the user's. TypeScript is loaded by the tsx that is installed where the command runs, or by Node itself
 * where it can.
 *
 * @throws InvalidOptionError if there is no such file, or if it does not load, with the reason.
 */
export async function loadModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new InvalidOptionError({ parameter: 'file', found: `nothing at ${path}`, expected: 'a module' });
  }
  const isTypeScript = /\.[mc]?tsx?$/.test(file);
  if (isTypeScript) await registerTypeScript();
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_FILE_EXTENSION' || !isTypeScript) {
      throw unloadable(path, error);
    }
    throw new InvalidOptionError({
      parameter: 'file',
      found: `${path}, which this version of Node does not read`,
      expected: 'JavaScript, or TypeScript and the package tsx',
      advice: 'Install tsx (npm install --save-dev tsx), or compile the file first.',
    });
  }
}

/** Does what `node --import tsx` does, if there is a tsx; Node may do without. */
async function registerTypeScript(): Promise<void> {
  try {
    const loader = createRequire(join(process.cwd(), 'frugal.js')).resolve('tsx');
    await import(pathToFileURL(loader).href);
  } catch {
    // Importing the file tells whether it was needed.
  }
}

function unloadable(path: string, error: unknown): InvalidOptionError {
  const reason = error instanceof Error ? `${error.name}: ${error.message.split('\n')[0]}` : String(error);
  const complaint = new InvalidOptionError({
    parameter: 'file',
    found: `${path}, which does not load (${reason})`,
    expected: 'a module that loads',
  });
  // For --debug.
  if (error instanceof Error && error.stack !== undefined) complaint.stack = error.stack;
  return complaint;
}
