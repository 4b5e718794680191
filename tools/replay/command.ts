import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { env, getBackend, ready, setBackend } from '@tensorflow/tfjs-core';
import { BOUND, ERROR_DEFINITION, type ReplayOptions, type ReplayResult, replayCase } from './replay.js';
import { readTrajectories } from './trajectory-file.js';

const LOADERS = {
  cpu: () => Promise.all([import('@tensorflow/tfjs-backend-cpu'), import('@frugaljs/backend-wasm/cpu')]),
  wasm: () => import('@frugaljs/backend-wasm'),
  webgpu: () => import('@frugaljs/backend-webgpu/node'),
  tensorflow: async () => (await import('@frugaljs/backend-node')).loadTensorFlow(),
} as const;

/** The backends a replay can run on, each with the project's own kernels. */
export type BackendName = keyof typeof LOADERS;

export const BACKEND_NAMES: readonly BackendName[] = Object.keys(LOADERS) as BackendName[];

/** Those that every machine has. */
export const PORTABLE_BACKENDS: readonly BackendName[] = ['cpu', 'wasm'];

const USAGE = `npm run replay -- FILE [--backend ${BACKEND_NAMES.join('|')}] [--kernels auto|reference] [--recorded-bases]

Replays recorded runs of the official optimizers through frugal.js and compares the parameters after every step.

  --backend         where tensors live; cpu by default
  --kernels         auto takes fused kernels where there are some (default), reference takes tfjs operations
  --recorded-bases  take singular vectors from the file and not from the gradient`;

/** The command: prints a report and returns the exit code, 1 when a case fails or nothing can be replayed. */
export async function command(args: readonly string[], print: (line: string) => void): Promise<number> {
  let parsed: ReturnType<typeof readArguments>;
  let cases: readonly unknown[];
  try {
    parsed = readArguments(args);
    cases = readTrajectories(await readFile(parsed.file, 'utf8'));
    await startBackend(parsed.backend);
  } catch (error) {
    print(`${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  for (const line of heading(parsed.file, parsed.backend, parsed.options.kernels)) print(line);
  const results: ReplayResult[] = [];
  for (const value of cases) {
    const result = await replayCase(value, parsed.options);
    print(caseLine(result));
    results.push(result);
  }
  print('');
  print(closingLine(results));
  return results.length > 0 && results.every(({ passed }) => passed) ? 0 : 1;
}

function readArguments(args: readonly string[]): {
  readonly file: string;
  readonly backend: BackendName;
  readonly options: ReplayOptions;
} {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      backend: { type: 'string', default: 'cpu' },
      kernels: { type: 'string', default: 'auto' },
      'recorded-bases': { type: 'boolean', default: false },
    },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Error(`expected one file, found ${positionals.length}`);
  const backend = BACKEND_NAMES.find(name => name === values.backend);
  if (backend === undefined)
    throw new Error(`--backend: expected ${BACKEND_NAMES.join(' or ')}, found ${values.backend}`);
  const kernels = (['auto', 'reference'] as const).find(name => name === values.kernels);
  if (kernels === undefined) throw new Error(`--kernels: expected auto or reference, found ${values.kernels}`);
  return { file, backend, options: { kernels, recordedBases: values['recorded-bases'] } };
}

/** Why a backend cannot be had on this machine; `null` when it can. */
export async function whyMissing(name: BackendName): Promise<string | null> {
  try {
    await LOADERS[name]();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export async function startBackend(name: BackendName): Promise<void> {
  // Without this the cpu backend advertises tfjs-node on standard error.
  env().set('PROD', true);
  await LOADERS[name]();
  await setBackend(name);
  await ready();
  if (getBackend() !== name) throw new Error(`the backend ${name} did not start`);
}

/** What the numbers of the report mean. */
function heading(file: string, backend: string, kernels: string): string[] {
  const bound = BOUND.toExponential(0);
  return [`${file} on ${backend}, kernels: ${kernels}`, `error: ${ERROR_DEFINITION}; at most ${bound} passes`, ''];
}

/** One line per case. */
function caseLine({ name, official, passed, worst, reason }: ReplayResult): string {
  const mark = passed ? 'ok  ' : 'FAIL';
  const found =
    worst === null
      ? reason
      : worst.error === 0
        ? 'no error'
        : `worst error ${worst.error.toExponential(2)} in ${worst.parameter} after step ${worst.step}`;
  return `${mark} ${name} (${official}): ${found}`;
}

/** The last line, which stands alone. */
function closingLine(results: readonly ReplayResult[]): string {
  const passed = results.filter(result => result.passed).length;
  return `${passed} passed, ${results.length - passed} failed`;
}
