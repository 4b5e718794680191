// A page that tries the laws when it is asked to, on the WebGPU of the browser that shows it.
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import { startWebGpu } from '@frugaljs/backend-webgpu';
import { explainFailure, type LawResult, type RunOptions } from '@frugaljs/testing';
import { differenceOf } from './difference.js';
import { SUITES } from './suites.js';

/** What became of a suite, as text and numbers. */
export interface Outcome {
  readonly backend: string;
  readonly passed: readonly string[];
  readonly skipped: readonly string[];
  /** Each broken law with its counterexample. */
  readonly broken: readonly string[];
  readonly examples: number;
}

/** What the page offers to whoever drives it. */
export interface LawsPage {
  /** Starts WebGPU; why it cannot be had, or null. */
  start(): Promise<string | null>;
  run(suite: string, options: RunOptions): Promise<Outcome>;
  /** Runs a recipe with the fused kernels and with the reference. */
  difference: typeof differenceOf;
}

const page: LawsPage = {
  start: () =>
    startWebGpu().then(
      () => null,
      (error: Error) => error.message,
    ),
  run: async (suite, options) => {
    const { backend, results } = await SUITES[suite]!(options);
    const lawsThat = (status: LawResult['status']): LawResult[] => results.filter(each => each.status === status);
    return {
      backend,
      passed: lawsThat('passed').map(({ law }) => law),
      skipped: lawsThat('skipped').map(({ law, reason }) => `${law}: ${reason}`),
      broken: lawsThat('failed').map(result => explainFailure(result, suite)),
      examples: results.reduce((sum, { runs }) => sum + runs, 0),
    };
  },
  difference: differenceOf,
};

Object.assign(globalThis, { laws: page });
