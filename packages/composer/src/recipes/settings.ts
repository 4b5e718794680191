import {
  type Described,
  type ExpressionRule,
  FrugalError,
  InvalidOptionError,
  type OptionTable,
  type Projector,
  type Rule,
  requireOptions,
  requirePart,
  requireRule,
  type Schedule,
  type SubspaceRule,
  scheduleFromJson,
  UnknownNameError,
} from '@frugaljs/core';
import { asMatrix } from '@frugaljs/projectors';
import { type AdamWOptions, adamW } from '@frugaljs/state-full';
import '../built-ins.js';
import { requireSettings } from '../composition.js';
import { groupMatching } from '../groups.js';
import { projectorFromJson, ruleFromJson } from '../json.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import { COMPOSE_OPTIONS, type ComposeOptions, type Group, type Match, type MatchConditions } from '../options.js';
import { biasCorrected } from '../wrappers.js';
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

// Whatever is wrong with an option of a recipe, the error is about the option, by the name that the user has written. Parts
// that the recipe makes of it know other names: `ofOption` is where they become one.

/** Checks the options of a recipe: its own, of which the table has each, and those of every recipe. */
export function requireRecipeOptions<Options extends CommonOptions>(
  owner: string,
  options: Options,
  own: OptionTable<Exclude<keyof Options & string, keyof CommonOptions>>,
): void {
  requireOptions(owner, options, { ...own, ...COMMON_OPTIONS } as OptionTable);
}

/**
 * Makes a part of an option.
 *
 * @param option Its name with that of the recipe, such as `frugal.stateFull`.
 * @param expected What the option may be.
 * @throws InvalidOptionError or UnknownNameError about the option, with what the part says as the explanation.
 */
export function ofOption<Part>(option: string, given: unknown, expected: string, make: () => Part): Part {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof FrugalError) || isAbout(error, option)) throw error;
    const Same = error instanceof UnknownNameError ? UnknownNameError : InvalidOptionError;
    throw new Same({ parameter: option, found: given, expected, advice: error.message });
  }
}

function isAbout({ parameter }: FrugalError, option: string): boolean {
  return parameter === option || parameter.startsWith(`${option}.`);
}

/** @param option What the rule was given as, such as `frugal.stateFull`. */
export function chooseRule(option: string, choice: RuleChoice): Rule {
  return ofOption(option, choice, 'a rule such as adamW(), its name or its JSON', () => {
    if (typeof choice === 'string') return ruleFromJson({ kind: choice, options: {} });
    if (isDescription(choice, 'type')) return ruleFromJson(choice);
    requireRule(option, choice, 'adamW(), its name or its JSON');
    return choice;
  });
}

/** @param option What the projector was given as, such as `frugal.projector`. */
export function chooseProjector(
  option: string,
  choice: ProjectorChoice,
  size: { readonly [key: string]: number },
): Projector {
  const expected = 'a projector such as rows({ density: 0.25 }), its name or its JSON';
  return ofOption(option, choice, expected, () => {
    if (typeof choice === 'string') return projectorFromJson({ kind: choice, options: size });
    if (isDescription(choice, 'fit')) return projectorFromJson(choice);
    requirePart(option, choice, 'projector', expected);
    return choice as Projector;
  });
}

/** @param member What the part has that its JSON lacks. */
function isDescription(choice: unknown, member: string): choice is Described {
  return typeof choice === 'object' && choice !== null && 'kind' in choice && !(member in choice);
}

/** Adam as GaLore and those after it have it, with other options where they are given. */
export function chooseAdam(option: string, given: AdamWOptions = {}): ExpressionRule {
  const expected = 'options of adamW, such as { beta2: 0.95 }';
  return ofOption(option, given, expected, () => {
    // Spread, a number would be no options.
    adamW(given);
    return adamW({ epsilon: 1e-6, epsilonPlacement: 'beforeCorrection', ...given });
  });
}

/**
 * A subspace of Adam whose steps are corrected for bias after all that is done to its directions, as Fira and APOLLO do:
 * what they measure and limit are the directions before.
 *
 * @param make Makes the subspace of Adam without correction.
 */
export function correctedAfter({ options }: ExpressionRule, make: (adam: Rule) => SubspaceRule): SubspaceRule {
  const { beta1, beta2, biasCorrection } = options as Required<AdamWOptions>;
  const whole = make(adamW({ ...options, biasCorrection: false }));
  return biasCorrection ? biasCorrected(whole, { beta1, beta2 }) : whole;
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

/** The settings of a recipe that go to `compose` as they are. */
export function composeSettings(
  owner: string,
  options: CommonOptions,
  defaultRate: number,
): Omit<ComposeOptions, 'groups'> {
  const given = Object.entries(options).filter(
    ([name, value]) => name !== 'groups' && Object.hasOwn(COMPOSE_OPTIONS, name) && value !== undefined,
  );
  const { learningRate = defaultRate } = options;
  const settings = { ...Object.fromEntries(given), learningRate: chooseRate(`${owner}.learningRate`, learningRate) };
  requireSettings(owner, settings);
  return settings;
}

function chooseRate(option: string, rate: number | Schedule | Described): number | Schedule {
  if (!isDescription(rate, 'at')) return rate;
  return ofOption(option, rate, 'a number, a schedule or its JSON', () => scheduleFromJson(rate));
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

/**
 * The optimizer of a recipe: what is trained in a subspace, and by the plain rule all that is not, both with the weight decay
 * of the options.
 */
export function composeScoped(
  owner: string,
  options: CommonOptions & SubspaceScope,
  defaultRate: number,
  inSubspace: Group,
  plain: Group,
): ComposedOptimizer {
  const decay = decayOf(options);
  const groups = scopedGroups(owner, options, { ...inSubspace, ...decay }, { ...plain, ...decay });
  return compose({ ...composeSettings(owner, options, defaultRate), groups });
}

function scopedGroups(
  owner: string,
  { projectable, fullRank, convolutions = false }: SubspaceScope,
  inSubspace: Group,
  plain: Group,
): readonly Group[] {
  const { maxRank: _, ...ofAnyRank } = PROJECTABLE as MatchConditions;
  const usual = convolutions ? ofAnyRank : PROJECTABLE;
  const match = projectable === undefined ? usual : projectable;
  // Who says what to project is told when there is no such parameter.
  const split = { ...inSubspace, ...(projectable === undefined ? { optional: true } : { leaves: true }) };
  const groups = [groupMatching(`${owner}.projectable`, match, split), plain];
  return fullRank === undefined ? groups : [groupMatching(`${owner}.fullRank`, fullRank, plain), ...groups];
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
  // In names of tf.layers, which have slashes, a layer is also an output by the names that people give them. Names of
  // transformers have dots, and hidden layers of BERT are called output.
  not: /embed|norm|lm_head|logits|classifier|(^|[./_])(wte|wpe|score)([./_]|$)|(^|\/)(outputs?|predictions?|head|softmax|probabilities)(_\d+)?\//i,
  minRank: 2,
  maxRank: 2,
};
