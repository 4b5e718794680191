import {
  type Described,
  type OptionTable,
  type Projector,
  type Rule,
  requireOptions,
  requirePart,
  requireRule,
  type Schedule,
  scheduleFromJson,
} from '@frugaljs/core';
import '../built-ins.js';
import { projectorFromJson, ruleFromJson } from '../json.js';
import { COMPOSE_OPTIONS, type ComposeOptions, type Group, type Match } from '../options.js';
import { COMMON_OPTIONS } from './options.js';

/** A rule, its JSON, or the name of a rule with default options. */
export type RuleChoice = Rule | Described | string;

/** A projector, its JSON, or the name of a projector, which then takes the recipe's density. */
export type ProjectorChoice = Projector | Described | string;

/** What every recipe takes besides its own options. */
export interface CommonOptions extends Partial<Omit<ComposeOptions, 'groups' | 'learningRate'>> {
  /** A number, a schedule over updates, or the JSON of one. */
  readonly learningRate?: number | Schedule | Described;
  /** λ of the decoupled weight decay. Default 0. */
  readonly weightDecay?: number;
}

/** Checks the options of a recipe: its own, of which the table has each, and those of every recipe. */
export function requireRecipeOptions<Options extends CommonOptions>(
  owner: string,
  options: Options,
  own: OptionTable<Exclude<keyof Options & string, keyof CommonOptions>>,
): void {
  requireOptions(owner, options, { ...own, ...COMMON_OPTIONS } as OptionTable);
}

export function chooseRule(choice: RuleChoice): Rule {
  if (typeof choice === 'string') return ruleFromJson({ kind: choice, options: {} });
  if (isDescription(choice, 'type')) return ruleFromJson(choice);
  requireRule('rule', choice, 'adamW(), its name or its JSON');
  return choice;
}

export function chooseProjector(choice: ProjectorChoice, size: { readonly [key: string]: number }): Projector {
  if (typeof choice === 'string') return projectorFromJson({ kind: choice, options: size });
  if (isDescription(choice, 'fit')) return projectorFromJson(choice);
  requirePart('projector', choice, 'projector', 'a projector such as rows({ density: 0.25 }), its name or its JSON');
  return choice as Projector;
}

/** @param member What the part has that its JSON lacks. */
function isDescription(choice: unknown, member: string): choice is Described {
  return typeof choice === 'object' && choice !== null && 'kind' in choice && !(member in choice);
}

/** The settings of a recipe that go to `compose` as they are. */
export function composeSettings(options: CommonOptions, defaultRate: number): Omit<ComposeOptions, 'groups'> {
  const given = Object.entries(options).filter(
    ([name, value]) => name !== 'groups' && Object.hasOwn(COMPOSE_OPTIONS, name) && value !== undefined,
  );
  const settings: Omit<ComposeOptions, 'groups'> = { learningRate: defaultRate, ...Object.fromEntries(given) };
  const { learningRate } = settings;
  return isDescription(learningRate, 'at') ? { ...settings, learningRate: scheduleFromJson(learningRate) } : settings;
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
