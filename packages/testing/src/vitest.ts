import { getBackend, ready, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, describe, it } from 'vitest';
import { COMBINE_LAWS, OPTIMIZER_LAWS, type OptimizerLawOptions, PROJECTOR_LAWS, RULE_LAWS } from './check.js';
import { type CombineFactory, type CombineLawOptions, combineFixture } from './combine/fixture.js';
import { KERNEL_LAWS, type KernelLawOptions } from './kernel-laws.js';
import type { Law } from './law.js';
import type { Algebra } from './optimizer/fixture.js';
import { type ProjectorFactory, type ProjectorLawOptions, projectorFixture } from './projector/fixture.js';
import { explainFailure, type LawResult } from './report.js';
import { type RuleFactory, type RuleLawOptions, ruleFixture } from './rule/fixture.js';
import { DEFAULT_SEED, type RunOptions, reasonToSkip, requireKnownLaws, runLaw } from './run.js';
import { type WrapperFactory, type WrapperLawOptions, wrapperFixture } from './wrapper/fixture.js';
import { WRAPPER_LAWS } from './wrapper/laws.js';

export interface DescribeOptions extends RunOptions {
  /** Runs the suite on each of these tfjs backends, which the test file imports. Default: the current one. */
  readonly backends?: readonly string[];
  /** Milliseconds for each law. Default: vitest's. */
  readonly timeout?: number;
}

/** A vitest suite of the laws of projectors; see `checkProjector` for the same without vitest. */
export function describeProjectorLaws<Options = { readonly density: number }>(
  factory: ProjectorFactory<Options>,
  options: ProjectorLawOptions<Options> & DescribeOptions = {},
): void {
  const fixture = projectorFixture(factory, options);
  describeSuite(options.name ?? `projector ${fixture.kind}`, PROJECTOR_LAWS, fixture, options);
}

/** A vitest suite of the laws of rules; see `checkRule` for the same without vitest. */
export function describeRuleLaws<Options = Readonly<Record<string, never>>>(
  factory: RuleFactory<Options>,
  options: RuleLawOptions<Options> & DescribeOptions = {},
): void {
  const fixture = ruleFixture(factory, options);
  describeSuite(options.name ?? `rule ${fixture.kind}`, RULE_LAWS, fixture, options);
}

/** A vitest suite of the laws of combines; see `checkCombine` for the same without vitest. */
export function describeCombineLaws<Options = Readonly<Record<string, never>>>(
  factory: CombineFactory<Options>,
  options: CombineLawOptions<Options> & DescribeOptions = {},
): void {
  const fixture = combineFixture(factory, options);
  describeSuite(options.name ?? `combine ${fixture.kind}`, COMBINE_LAWS, fixture, options);
}

/** A vitest suite of the laws of wrappers; see `checkWrapper` for the same without vitest. */
export function describeWrapperLaws<Options = Readonly<Record<string, never>>>(
  factory: WrapperFactory<Options>,
  options: WrapperLawOptions<Options> & DescribeOptions = {},
): void {
  const fixture = wrapperFixture(factory, options);
  describeSuite(options.name ?? `wrapper ${fixture.kind}`, WRAPPER_LAWS, fixture, options);
}

/** A vitest suite of the laws of optimizers; see `checkOptimizer` for the same without vitest. */
export function describeOptimizerLaws(algebra: Algebra, options: OptimizerLawOptions & DescribeOptions = {}): void {
  describeSuite(options.name ?? 'optimizers', OPTIMIZER_LAWS, algebra, options);
}

/** A vitest suite that compares fused kernels with the reference; see `checkKernels` for the same without vitest. */
export function describeKernelLaws(
  reference: Algebra,
  fused: Algebra,
  options: KernelLawOptions & DescribeOptions = {},
): void {
  const fixture = { reference, fused, rules: options.rules ?? {} };
  describeSuite(options.name ?? 'kernels', KERNEL_LAWS, fixture, options);
}

/** One vitest suite per backend with one test per law that applies. */
function describeSuite<Fixture>(
  name: string,
  laws: readonly Law<Fixture>[],
  fixture: Fixture,
  options: DescribeOptions,
): void {
  const { backends, seed = DEFAULT_SEED, leaveOut = {}, timeout } = options;
  requireKnownLaws(laws, options);
  const applicable = laws.filter(law => reasonToSkip(law, fixture) === null);
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
          const result = await runLaw(law, fixture, options, results);
          results.set(law.name, result);
          if (result.status === 'failed') throw new Error(explainFailure(result, name));
          // A law that was not tried must not look as if it held.
          if (result.status === 'skipped') skip(result.reason);
        });
      }
    });
  }
}
