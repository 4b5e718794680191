import { engine, getBackend, memory, type Variable } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { BrokenLaw, type Law } from './law.js';
import type { LawResult, Report } from './report.js';
import { DEFAULT_SEED, parameters, type RunOptions, reasonToSkip, summarize } from './run-laws.js';

/** A law whose check waits for something, such as saving and loading; it frees its tensors itself. */
export interface AsyncLaw<Subject, Example = unknown> extends Omit<Law<Subject, Example>, 'check'> {
  check(subject: Subject, example: Example): Promise<void> | void;
}

/** Keeps the type of the example between `example` and `check`. */
export function asyncLaw<Subject, Example>(definition: AsyncLaw<Subject, Example>): AsyncLaw<Subject> {
  return definition as unknown as AsyncLaw<Subject>;
}

/** Runs take longer here than those of single parts. */
export const DEFAULT_ASYNC_RUNS = 10;

export async function runLawsAsync<Subject>(
  name: string,
  laws: readonly AsyncLaw<Subject>[],
  subject: Subject,
  options: RunOptions = {},
): Promise<Report> {
  const results = new Map<string, LawResult>();
  for (const law of laws) {
    const result = await runLawAsync(law, subject, options, results);
    results.set(law.name, result);
    if (options.bail && result.status === 'failed') break;
  }
  const all = [...results.values()];
  return {
    subject: name,
    backend: getBackend(),
    seed: options.seed ?? DEFAULT_SEED,
    results: all,
    passed: all.every(({ status }) => status !== 'failed'),
  };
}

export async function runLawAsync<Subject>(
  law: AsyncLaw<Subject>,
  subject: Subject,
  { seed = DEFAULT_SEED, numRuns = DEFAULT_ASYNC_RUNS }: RunOptions = {},
  before: ReadonlyMap<string, LawResult> = new Map(),
): Promise<LawResult> {
  const about = { law: law.name, formula: law.formula, why: law.why, seed };
  const reason = reasonToSkip(law, subject, before);
  if (reason !== null) return { ...about, status: 'skipped', runs: 0, reason };
  const property = fc.asyncProperty(law.example(subject), async example => {
    // What a first run leaves behind may be a cache, such as a cosine table per size; a second one must add nothing.
    if ((await tensorsLeftBy(law, subject, example)) === 0) return;
    const left = await tensorsLeftBy(law, subject, example);
    if (left !== 0) throw new BrokenLaw(`${left} tensors outlive the optimizer after dispose()`);
  });
  return summarize(about, await fc.check(property, parameters(law, seed, numRuns)));
}

async function tensorsLeftBy<Subject>(law: AsyncLaw<Subject>, subject: Subject, example: unknown): Promise<number> {
  const { numTensors } = memory();
  const known = new Set(variables());
  try {
    await law.check(subject, example);
  } catch (error) {
    // The next example uses the same names.
    for (const variable of variables()) if (!known.has(variable)) variable.dispose();
    throw error;
  }
  return memory().numTensors - numTensors;
}

function variables(): readonly Variable[] {
  return Object.values(engine().registeredVariables);
}
