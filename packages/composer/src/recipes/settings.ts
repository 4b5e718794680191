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
import { asMatrix } from '@frugaljs/projectors';
import '../built-ins.js';
import { projectorFromJson, ruleFromJson } from '../json.js';
import { COMPOSE_OPTIONS, type ComposeOptions, type Group, type Match, type MatchConditions } from '../options.js';
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

/** Which parameters a recipe trains in a subspace. */
export interface SubspaceScope {
  /** The parameters to train in a subspace. Default: matrices other than embeddings and output layers. */
  readonly projectable?: Match;
  /**
   * Names of parameters that the plain rule trains although they would be projectable, such as those of the output layer,
   * which tf.layers names like any other. It is an error when no parameter has one of them. Default: none.
   */
  readonly fullRank?: string | RegExp | readonly (string | RegExp)[];
  /**
   * Train kernels of convolutions (tensors with more than two axes) in a subspace, too: as matrices whose columns are the
   * last axis. Default false.
   */
  readonly convolutions?: boolean;
}

/** The groups of a recipe: what is trained in a subspace, and by the plain rule all that is not. */
export function scopedGroups(
  { projectable, fullRank, convolutions = false }: SubspaceScope,
  inSubspace: Group,
  plain: Group,
): readonly Group[] {
  const { maxRank: _, ...ofAnyRank } = PROJECTABLE as MatchConditions;
  const match = projectable ?? (convolutions ? ofAnyRank : PROJECTABLE);
  // Who says what to project is told when there is no such parameter.
  const split = { match, ...inSubspace, ...(projectable === undefined ? { optional: true } : { leaves: true }) };
  return fullRank === undefined ? [split, plain] : [{ match: fullRank, ...plain }, split, plain];
}

/** The projector that a recipe uses: on kernels of convolutions as well, where they are asked for. */
export function scopedProjector({ convolutions = false }: SubspaceScope, projector: Projector): Projector {
  return convolutions ? asMatrix(projector) : projector;
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
