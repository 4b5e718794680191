import { getBackend, ready, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import type { Law } from './law.js';
import { explainFailure, type LawResult } from './report.js';
import { DEFAULT_SEED, type RunOptions, reasonToSkip, runLaw } from './run-laws.js';
import { type AsyncLaw, runLawAsync } from './run-laws-async.js';

export interface DescribeOptions extends RunOptions {
  /** Runs the suite on each of these tfjs backends, which the test file imports. Default: the current one. */
  readonly backends?: readonly string[];
}

/** One vitest suite with one test per law that applies. */
export function describeSuite<Subject>(
  name: string,
  laws: readonly Law<Subject>[],
  subject: Subject,
  options: DescribeOptions,
): void {
  describeLaws(name, laws, subject, options, (law, before) => runLaw(law, subject, options, before));
}

/** The same for laws whose checks wait for something. */
export function describeAsyncSuite<Subject>(
  name: string,
  laws: readonly AsyncLaw<Subject>[],
  subject: Subject,
  options: DescribeOptions,
): void {
  describeLaws(name, laws, subject, options, (law, before) => runLawAsync(law, subject, options, before));
}

function describeLaws<Subject, Kind extends Pick<Law<Subject>, 'name' | 'lifted' | 'needs'>>(
  name: string,
  laws: readonly Kind[],
  subject: Subject,
  options: DescribeOptions,
  run: (law: Kind, before: ReadonlyMap<string, LawResult>) => LawResult | Promise<LawResult>,
): void {
  const { backends, seed = DEFAULT_SEED } = options;
  const applicable = laws.filter(law => reasonToSkip(law, subject) === null);
  for (const backend of backends ?? [null]) {
    const where = backend === null ? '' : ` on ${backend}`;
    describe(`${name}${where}, seed ${seed}`, () => {
      if (backend !== null) {
        beforeAll(async () => {
          await setBackend(backend);
          await ready();
          if (getBackend() !== backend) throw new Error(`The tfjs backend ${backend} did not start.`);
        });
      }
      const results = new Map<string, LawResult>();
      for (const law of applicable) {
        it(law.name, async () => {
          const result = await run(law, results);
          results.set(law.name, result);
          if (result.status === 'failed') throw new Error(explainFailure(result, name));
        });
      }
    });
  }
}
