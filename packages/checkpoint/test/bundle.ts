import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Makes one file of a program in TypeScript and what it imports: Node starts it in a fraction of the time that it takes to
 * compile them, and as a worker thread too.
 *
 * @param outfile Ends in `.mjs`.
 */
export async function bundle(program: URL, outfile: string): Promise<string> {
  await build({
    entryPoints: [fileURLToPath(program)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['@frugaljs/source'],
    // Some of what tfjs needs is CommonJS.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    // tfjs says of its backends that importing them does nothing.
    ignoreAnnotations: true,
    logLevel: 'error',
  });
  return outfile;
}
