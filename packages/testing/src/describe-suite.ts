import { getBackend, ready, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import type { Law } from './law.js';
import { explainFailure, type LawResult } from './report.js';
import { DEFAULT_SEED, type RunOptions, reasonToSkip, requireKnownLaws, runLaw } from './run-laws.js';

export interface DescribeOptions extends RunOptions {
  /** Runs the suite on each of these tfjs backends, which the test file imports. Default: the current one. */
  readonly backends?: readonly string[];
  /** Milliseconds for each law. Default: vitest's. */
  readonly timeout?: number;
}

/** One vitest suite per backend with one test per law that applies. */
export function describeSuite<Subject>(
  name: string,
  laws: readonly Law<Subject>[],
  subject: Subject,
  options: DescribeOptions,
): void {
  const { backends, seed = DEFAULT_SEED, leaveOut = {}, timeout } = options;
  requireKnownLaws(laws, options);
  const applicable = laws.filter(law => reasonToSkip(law, subject) === null);
  for (const backend of backends ?? [null]) {
    const where = backend === null ? '' : ` on ${backend}`;
    describe(`laws of ${name}${where}, seed ${seed}`, () => {
      if (backend !== null) {
        beforeAll(async () => {
          await setBackend(backend);
          await ready();
          if (getBackend() !== backend) throw new Error(`The tfjs backend ${backend} did not start.`);
        });
      }
      const results = new Map<string, LawResult>();
      for (const law of applicable) {
        const reason = leaveOut[law.name];
        if (reason !== undefined) {
          it.skip(`${law.name}: ${reason}`);
          continue;
        }
        it(law.name, { timeout }, async ({ skip }) => {
          const result = await runLaw(law, subject, options, results);
          results.set(law.name, result);
          if (result.status === 'failed') throw new Error(explainFailure(result, name));
          // A law that was not tried must not look as if it held.
          if (result.status === 'skipped') skip(result.reason);
        });
      }
    });
  }
}
