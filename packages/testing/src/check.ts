import type { Combine, Projector, Rule } from '@frugaljs/core';
import { type CombineFactory, type CombineFixture, type CombineLawOptions, combineFixture } from './combine/fixture.js';
import { COMBINE_STRUCTURE_LAWS } from './combine/structure-laws.js';
import { COMBINE_VALUE_LAWS } from './combine/value-laws.js';
import { KERNEL_LAWS, type KernelLawOptions } from './kernel-laws.js';
import type { Law } from './law.js';
import { COMPOSITION_LAWS } from './optimizer/composition-laws.js';
import { OPTIMIZER_ENERGY_LAWS } from './optimizer/energy-laws.js';
import type { Algebra } from './optimizer/fixture.js';
import { MEASURED_LAWS } from './optimizer/measured-laws.js';
import { REDUCTION_LAWS } from './optimizer/reduction-laws.js';
import { SCHEDULE_LAWS } from './optimizer/schedule-laws.js';
import { BASIS_LAWS } from './projector/basis-laws.js';
import { ENERGY_LAWS } from './projector/energy-laws.js';
import {
  type ProjectorFactory,
  type ProjectorFixture,
  type ProjectorLawOptions,
  projectorFixture,
} from './projector/fixture.js';
import { LINEAR_LAWS } from './projector/linear-laws.js';
import { RANDOM_LAWS } from './projector/random-laws.js';
import { SIZE_LAWS } from './projector/size-laws.js';
import { STRUCTURE_LAWS } from './projector/structure-laws.js';
import type { Report } from './report.js';
import { type RuleFactory, type RuleFixture, type RuleLawOptions, ruleFixture } from './rule/fixture.js';
import { RULE_STATE_LAWS } from './rule/state-laws.js';
import { RULE_STRUCTURE_LAWS } from './rule/structure-laws.js';
import { RULE_VALUE_LAWS } from './rule/value-laws.js';
import { type RunOptions, runLaws } from './run.js';
import { type WrapperFactory, type WrapperLawOptions, wrapperFixture } from './wrapper/fixture.js';
import { WRAPPER_LAWS } from './wrapper/laws.js';

/** Every law of projectors, in the order in which they are tried. */
export const PROJECTOR_LAWS: readonly Law<ProjectorFixture>[] = [
  ...STRUCTURE_LAWS,
  ...LINEAR_LAWS,
  ...SIZE_LAWS,
  ...BASIS_LAWS,
  ...RANDOM_LAWS,
  ...ENERGY_LAWS,
];

/**
 * Tries the laws of projectors on what a factory makes, on the current tfjs backend.
 *
 * @param factory Makes the projector from drawn options; also gets the site, for options that depend on the parameter.
 */
export function checkProjector<Options = { readonly density: number }>(
  factory: ProjectorFactory<Options>,
  options: ProjectorLawOptions<Options> = {},
): Promise<Report> {
  const fixture = projectorFixture(factory, options);
  return runLaws(options.name ?? `projector ${fixture.kind}`, PROJECTOR_LAWS, fixture, options);
}

/** Every law of rules, in the order in which they are tried. */
export const RULE_LAWS: readonly Law<RuleFixture>[] = [...RULE_STRUCTURE_LAWS, ...RULE_VALUE_LAWS, ...RULE_STATE_LAWS];

/** Tries the laws of rules on what a factory makes, on the current tfjs backend. */
export function checkRule<Options = Readonly<Record<string, never>>>(
  factory: RuleFactory<Options>,
  options: RuleLawOptions<Options> = {},
): Promise<Report> {
  const fixture = ruleFixture(factory, options);
  return runLaws(options.name ?? `rule ${fixture.kind}`, RULE_LAWS, fixture, options);
}

/** Every law of combines, in the order in which they are tried. */
export const COMBINE_LAWS: readonly Law<CombineFixture>[] = [...COMBINE_STRUCTURE_LAWS, ...COMBINE_VALUE_LAWS];

/** Tries the laws of combines on what a factory makes, on the current tfjs backend. */
export function checkCombine<Options = Readonly<Record<string, never>>>(
  factory: CombineFactory<Options>,
  options: CombineLawOptions<Options> = {},
): Promise<Report> {
  const fixture = combineFixture(factory, options);
  return runLaws(options.name ?? `combine ${fixture.kind}`, COMBINE_LAWS, fixture, options);
}

/** Tries the laws of wrappers on what a factory makes of rules, on the current tfjs backend. */
export function checkWrapper<Options = Readonly<Record<string, never>>>(
  factory: WrapperFactory<Options>,
  options: WrapperLawOptions<Options> = {},
): Promise<Report> {
  const fixture = wrapperFixture(factory, options);
  return runLaws(options.name ?? `wrapper ${fixture.kind}`, WRAPPER_LAWS, fixture, options);
}

/** Every law of optimizers, in the order in which they are tried. */
export const OPTIMIZER_LAWS: readonly Law<Algebra>[] = [
  ...SCHEDULE_LAWS,
  ...REDUCTION_LAWS,
  ...MEASURED_LAWS,
  ...COMPOSITION_LAWS,
  ...OPTIMIZER_ENERGY_LAWS,
];

export interface OptimizerLawOptions extends RunOptions {
  /** How reports call it. Default `optimizer`. */
  readonly name?: string;
}

/** Tries the laws of optimizers on compositions built from an algebra, on the current tfjs backend. */
export function checkOptimizer(algebra: Algebra, options: OptimizerLawOptions = {}): Promise<Report> {
  return runLaws(options.name ?? 'optimizer', OPTIMIZER_LAWS, algebra, options);
}

/**
 * Compares fused kernels with the reference interpreter on random compositions, on the current tfjs backend.
 *
 * @param reference An algebra whose `compose` uses the reference, for example `compose({ ...options, kernels: 'reference' })`.
 * @param fused The same algebra with the kernels under test.
 */
export function checkKernels(reference: Algebra, fused: Algebra, options: KernelLawOptions = {}): Promise<Report> {
  const fixture = { reference, fused, rules: options.rules ?? {} };
  return runLaws(options.name ?? 'kernels', KERNEL_LAWS, fixture, options);
}

/** What a module exports under the name `laws`: for each factory by name, what it claims and how it is drawn. */
export type ModuleLaws = Readonly<
  Record<string, ProjectorLawOptions<never> | RuleLawOptions<never> | CombineLawOptions<never>>
>;

/**
 * Tries the laws on every factory that a module exports: functions that, called with `{}`, give a projector (it has
 * `fit`), a rule (`step`) or a combine (`apply`). An export `laws` says what each claims; see {@link ModuleLaws}. Exports
 * that are something else are passed over.
 *
 * @throws TypeError when the module exports no factory, or for claims about what is none.
 */
export async function checkModule(
  exports: Readonly<Record<string, unknown>>,
  options: RunOptions = {},
): Promise<Report[]> {
  const laws = (exports['laws'] ?? {}) as ModuleLaws;
  const factories = Object.entries(exports).flatMap(([name, value]) => {
    const kind = typeof value === 'function' ? kindOf(value as Factory) : null;
    return kind === null ? [] : [{ name, kind, factory: value as Factory }];
  });
  requireFactories(Object.keys(laws), exports, new Set(factories.map(({ name }) => name)));
  const reports: Report[] = [];
  for (const { name, kind, factory } of factories) {
    const claims = { name, ...laws[name], ...options };
    switch (kind) {
      case 'projector':
        reports.push(
          await checkProjector(factory as () => Projector, claims as ProjectorLawOptions<{ density: number }>),
        );
        break;
      case 'rule':
        reports.push(await checkRule(factory as () => Rule, claims as RuleLawOptions<never>));
        break;
      case 'combine':
        reports.push(await checkCombine(factory as () => Combine, claims as CombineLawOptions<never>));
        break;
    }
  }
  if (reports.length > 0) return reports;
  throw new TypeError(
    `The module exports ${Object.keys(exports).join(', ') || 'nothing'}, expected a function that returns a projector, a rule or a combine for {}.`,
  );
}

/**
 * {@link checkModule} on a file.
 *
 * @param url Of the module, such as `pathToFileURL('my-projector.js').href`. TypeScript needs a loader, such as tsx.
 */
export async function checkFile(url: string | URL, options: RunOptions = {}): Promise<Report[]> {
  return checkModule((await import(String(url))) as Record<string, unknown>, options);
}

/** Claims about what is not checked would be taken for checked. */
function requireFactories(
  claimed: readonly string[],
  exports: Readonly<Record<string, unknown>>,
  checked: ReadonlySet<string>,
): void {
  const unchecked = claimed.filter(name => !checked.has(name));
  if (unchecked.length === 0) return;
  const found = unchecked.map(
    name => `${name} (${Object.hasOwn(exports, name) ? whyNot(exports[name]) : 'no export'})`,
  );
  throw new TypeError(`laws: ${found.join(', ')}, expected names of exported factories: ${[...checked].join(', ')}`);
}

function whyNot(value: unknown): string {
  if (typeof value !== 'function') return 'no function';
  try {
    (value as Factory)({});
  } catch (error) {
    return `called with {} it throws ${String(error)}`;
  }
  return 'called with {} it makes no projector, rule or combine';
}

type Factory = (options: object) => unknown;

function kindOf(factory: Factory): 'projector' | 'rule' | 'combine' | null {
  let made: unknown;
  try {
    made = factory({});
  } catch {
    // A function that is no factory, or a class.
    return null;
  }
  if (typeof made !== 'object' || made === null || !('kind' in made)) return null;
  if ('fit' in made) return 'projector';
  if ('step' in made) return 'rule';
  return 'apply' in made ? 'combine' : null;
}
