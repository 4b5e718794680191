import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { BACKEND_NAMES, type BackendName, startBackend } from './backend.js';
import { type ReplayOptions, type ReplayResult, replayCase } from './replay.js';
import { caseLine, closingLine, heading } from './report.js';
import { readTrajectories } from './trajectory-file.js';

export const USAGE = `npm run replay -- FILE [--backend ${BACKEND_NAMES.join('|')}] [--kernels auto|reference] [--recorded-bases]

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
