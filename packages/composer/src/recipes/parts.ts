import { type Described, InvalidOptionError, type Projector, type Rule } from '@frugaljs/core';
import { projectorFromJson, ruleFromJson } from '../description/registry.js';
import type { ComposeOptions, Group } from '../optimizer/options.js';
import { requirePart } from '../require-part.js';

/** A rule, its JSON, or the name of a rule with default options. */
export type RuleChoice = Rule | Described | string;

/** A projector, its JSON, or the name of a projector, which then takes the recipe's density. */
export type ProjectorChoice = Projector | Described | string;

/** What every recipe takes besides its own options. */
export interface CommonOptions extends Partial<Omit<ComposeOptions, 'groups'>> {
  /** λ of the decoupled weight decay. Default 0. */
  readonly weightDecay?: number;
}

export const COMMON_KEYS: readonly string[] = [
  'learningRate',
  'clip',
  'accumulate',
  'seed',
  'onNonFinite',
  'onMissingGradient',
  'kernels',
  'weightDecay',
];

export function chooseRule(choice: RuleChoice): Rule {
  if (typeof choice === 'string') return ruleFromJson({ kind: choice, options: {} });
  if (isPart(choice, 'type')) return choice as Rule;
  requirePart('rule', choice, 'kind', 'a rule such as adamW(), its name or its JSON');
  return ruleFromJson(choice);
}

export function chooseProjector(choice: ProjectorChoice, size: { readonly [key: string]: number }): Projector {
  if (typeof choice === 'string') return projectorFromJson({ kind: choice, options: size });
  if (isPart(choice, 'fit')) return choice as Projector;
  requirePart('projector', choice, 'kind', 'a projector such as rows({ density: 0.25 }), its name or its JSON');
  return projectorFromJson(choice);
}

function isPart(choice: unknown, member: string): boolean {
  return typeof choice === 'object' && choice !== null && member in choice;
}

/** The settings of a recipe that go to `compose` as they are. */
export function composeSettings(
  { learningRate, clip, accumulate, seed, onNonFinite, onMissingGradient, kernels }: CommonOptions,
  defaultRate: number,
): Omit<ComposeOptions, 'groups'> {
  const settings = { clip, accumulate, seed, onNonFinite, onMissingGradient, kernels };
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  return { ...(given as typeof settings), learningRate: learningRate ?? defaultRate };
}

/** Weight decay as a part of a group. */
export function decayOf({ weightDecay }: CommonOptions): Pick<Group, 'weightDecay'> {
  return weightDecay === undefined ? {} : { weightDecay };
}

/** Splits options into those of the recipe's rule and those every recipe has. */
export function splitOptions<T extends CommonOptions>(
  owner: string,
  options: T,
): { common: CommonOptions; own: Omit<T, keyof CommonOptions> } {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError({ parameter: owner, found: options, expected: 'an object of options' });
  }
  const entries = Object.entries(options);
  return {
    common: Object.fromEntries(entries.filter(([key]) => COMMON_KEYS.includes(key))) as CommonOptions,
    own: Object.fromEntries(entries.filter(([key]) => !COMMON_KEYS.includes(key))) as Omit<T, keyof CommonOptions>,
  };
}

/** Checks that not both a rank and a density are given, and returns the one to use. */
export function chooseSize(
  owner: string,
  { rank, density }: { readonly rank?: number; readonly density?: number },
  defaultDensity: number,
): { readonly [key: string]: number } {
  if (rank !== undefined && density !== undefined) {
    throw new InvalidOptionError({
      parameter: `${owner}.rank`,
      found: `rank ${rank} and density ${density}`,
      expected: 'a rank or a density, not both',
    });
  }
  return rank === undefined ? { density: density ?? defaultDensity } : { rank };
}
