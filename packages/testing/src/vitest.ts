import { COMBINE_LAWS } from './combine/laws.js';
import { type CombineFactory, type CombineLawOptions, combineSubject } from './combine/subject.js';
import { type DescribeOptions, describeSuite } from './describe-suite.js';
import { KERNEL_LAWS, type KernelLawOptions } from './kernel/check-kernels.js';
import type { Algebra } from './optimizer/algebra.js';
import { OPTIMIZER_LAWS, type OptimizerLawOptions } from './optimizer/check-optimizer.js';
import { PROJECTOR_LAWS } from './projector/check-projector.js';
import { type ProjectorFactory, type ProjectorLawOptions, projectorSubject } from './projector/subject.js';
import { RULE_LAWS } from './rule/check-rule.js';
import { type RuleFactory, type RuleLawOptions, ruleSubject } from './rule/subject.js';

export type { DescribeOptions } from './describe-suite.js';

/** A vitest suite of the laws of projectors; see {@link checkProjector} for the same without vitest. */
export function describeProjectorLaws<Options = { readonly density: number }>(
  factory: ProjectorFactory<Options>,
  options: ProjectorLawOptions<Options> & DescribeOptions = {},
): void {
  const subject = projectorSubject(factory, options);
  describeSuite(options.name ?? `projector ${subject.kind}`, PROJECTOR_LAWS, subject, options);
}

/** A vitest suite of the laws of rules; see {@link checkRule} for the same without vitest. */
export function describeRuleLaws<Options = Readonly<Record<string, never>>>(
  factory: RuleFactory<Options>,
  options: RuleLawOptions<Options> & DescribeOptions = {},
): void {
  const subject = ruleSubject(factory, options);
  describeSuite(options.name ?? `rule ${subject.kind}`, RULE_LAWS, subject, options);
}

/** A vitest suite of the laws of combines; see {@link checkCombine} for the same without vitest. */
export function describeCombineLaws<Options = Readonly<Record<string, never>>>(
  factory: CombineFactory<Options>,
  options: CombineLawOptions<Options> & DescribeOptions = {},
): void {
  const subject = combineSubject(factory, options);
  describeSuite(options.name ?? `combine ${subject.kind}`, COMBINE_LAWS, subject, options);
}

/** A vitest suite of the laws of optimizers; see {@link checkOptimizer} for the same without vitest. */
export function describeOptimizerLaws(algebra: Algebra, options: OptimizerLawOptions & DescribeOptions = {}): void {
  describeSuite(options.name ?? 'optimizers', OPTIMIZER_LAWS, algebra, options);
}

/** A vitest suite that compares fused kernels with the reference; see {@link checkKernels} for the same without vitest. */
export function describeKernelLaws(
  reference: Algebra,
  fused: Algebra,
  options: KernelLawOptions & DescribeOptions = {},
): void {
  const subject = { reference, fused, rules: options.rules ?? {} };
  describeSuite(options.name ?? 'kernels', KERNEL_LAWS, subject, options);
}
