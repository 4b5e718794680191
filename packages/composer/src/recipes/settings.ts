import {
  type Described,
  type OptionSpec,
  type OptionTable,
  type Projector,
  type Rule,
  requireOptions,
  requirePart,
} from '@frugaljs/core';
import '../built-ins.js';
import { GROUP_OPTIONS, type Group, type Match } from '../groups.js';
import { COMPOSE_OPTIONS, type ComposeOptions } from '../options.js';
import { projectorFromJson, ruleFromJson } from '../registry.js';

/** A rule, its JSON, or the name of a rule with default options. */
export type RuleChoice = Rule | Described | string;

/** A projector, its JSON, or the name of a projector, which then takes the recipe's density. */
export type ProjectorChoice = Projector | Described | string;

/** What every recipe takes besides its own options. */
export interface CommonOptions extends Partial<Omit<ComposeOptions, 'groups'>> {
  /** λ of the decoupled weight decay. Default 0. */
  readonly weightDecay?: number;
}

const { groups: _, ...settings } = COMPOSE_OPTIONS;

/** The options of every recipe. */
export const COMMON_OPTIONS: OptionTable<keyof CommonOptions> = {
  ...settings,
  weightDecay: GROUP_OPTIONS.weightDecay,
};

/** Options of a recipe beside those of every recipe. */
export type OwnOptions<Options> = OptionTable<Exclude<keyof Options & string, keyof CommonOptions>>;

/** Rows that several recipes share. */
export const DENSITY: OptionSpec = {
  type: 'number',
  interval: '[0, 1]',
  default: 0.25,
  meaning: 'share of the projectable parameters that has state',
};
export const UPDATE_GAP: OptionSpec = {
  type: 'integer',
  minimum: 1,
  default: 200,
  meaning: 'updates between two choices of the subspace',
};
export const PROJECTABLE_OPTION: OptionSpec = {
  type: 'structure',
  meaning: 'the parameters to train in a subspace: a `match` of a group',
};

/** Checks the options of a recipe: its own and those of every recipe. */
export function requireRecipeOptions(owner: string, options: object, own: OptionTable): void {
  requireOptions(owner, options, { ...own, ...COMMON_OPTIONS });
}

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
export function composeSettings(options: CommonOptions, defaultRate: number): Omit<ComposeOptions, 'groups'> {
  const given = Object.entries(options).filter(([name, value]) => Object.hasOwn(settings, name) && value !== undefined);
  return { learningRate: defaultRate, ...Object.fromEntries(given) };
}

/** Weight decay as a part of a group. */
export function decayOf({ weightDecay }: CommonOptions): Pick<Group, 'weightDecay'> {
  return weightDecay === undefined ? {} : { weightDecay };
}

/**
 * The parameters that recipes train in a subspace unless told otherwise: matrices whose name does not say embedding,
 * normalization or output layer. FRUGAL keeps the others state-full; of these only the output layer is known to need it.
 */
export const PROJECTABLE: Match = {
  not: /embed|norm|lm_head|logits|classifier|(^|[./_])(wte|wpe|score)([./_]|$)/i,
  minRank: 2,
  maxRank: 2,
};
