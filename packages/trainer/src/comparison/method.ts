import { listRecipes, recipe } from '@frugaljs/composer';
import { didYouMean, InvalidOptionError, type Json, type Schedule, UnknownNameError } from '@frugaljs/core';

export type JsonObject = { readonly [key: string]: Json | undefined };

/** An optimizer to compare: a recipe and its options. */
export interface Method {
  /** Name in the table and the report. */
  readonly label: string;
  /** Name of the recipe. */
  readonly recipe: string;
  /** Options of the recipe, without learning rate and seed. */
  readonly options: JsonObject;
  /** Peak of the schedule. */
  readonly learningRate: number;
}

/** Builds the optimizer of a method. */
export function optimizerOf(
  { recipe: name, options }: Pick<Method, 'recipe' | 'options'>,
  schedule: Schedule,
  seed: number,
): ReturnType<typeof recipe> {
  const learningRate = { kind: schedule.kind, options: schedule.options };
  return recipe(name, { ...options, learningRate, seed });
}

/** A method as a user writes it: `name` or `name:option=value:option=value`. */
export interface MethodSpec {
  readonly name: string;
  readonly options: JsonObject;
}

/**
 * Reads a comma-separated list of methods, such as `adamW,frugal:density=0:lr=0.002`. Values are numbers, true,
 * false or names. `lr` is short for `learningRate`.
 *
 * @throws InvalidOptionError for an empty list or an option without a value.
 */
export function parseMethods(list: string): MethodSpec[] {
  const specs = list
    .split(',')
    .map(text => text.trim())
    .filter(text => text !== '');
  if (specs.length === 0) {
    throw new InvalidOptionError({
      parameter: 'optimizers',
      found: list,
      expected: 'names with commas between them, such as adamW,frugal:density=0',
    });
  }
  return specs.map(spec => {
    const [name, ...assignments] = spec.split(':');
    return { name: name!, options: Object.fromEntries(assignments.map(text => parseOption(text, 'optimizers'))) };
  });
}

/**
 * Reads `option=value`.
 *
 * @throws InvalidOptionError if it is not of that form.
 */
export function parseOption(text: string, parameter: string): [key: string, value: Json] {
  const [, key, value] = /^\s*([A-Za-z]\w*)\s*=\s*(.+?)\s*$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidOptionError({ parameter, found: text, expected: 'option=value, such as density=0.25' });
  }
  return [key === 'lr' ? 'learningRate' : key, jsonOrString(value)];
}

function jsonOrString(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** What a method's settings depend on. */
export interface RunLength {
  readonly steps: number;
  /** Layers of the model. */
  readonly layers: number;
}

interface Tuning {
  readonly title: string;
  /** Peak learning rate for a run of some hundred steps on a model of this size; found by a sweep (README). */
  readonly learningRate?: (options: JsonObject) => number;
  readonly options?: (length: RunLength, given: JsonObject) => JsonObject;
}

/**
 * β₂ of Adam in runs of a few hundred steps. The usual 0.999 averages over the last thousand gradients: the second
 * moments of such a run would never leave their beginning behind.
 */
const BETA2 = 0.95;

const ADAM = { kind: 'adamW', options: { beta2: BETA2 } };

const frugal: Tuning = {
  title: 'FRUGAL',
  learningRate: ({ density }) => (density === 0 ? 3e-3 : 4e-3),
  options: length => ({ density: 0.25, updateGap: updateGap(length), stateFull: ADAM }),
};

/**
 * FRUGAL in the subspace that GaLore uses, the leading singular vectors: what differs between the two is what becomes of
 * the rest of the gradient.
 */
const frugalSvd: Tuning = {
  ...frugal,
  options: (length, given) => ({
    ...frugal.options!(length, given),
    ...(given['density'] === 0 ? {} : { projector: 'svd' }),
  }),
};

const TUNINGS: Readonly<Record<string, Tuning>> = {
  adamW: { title: 'AdamW', learningRate: () => 3e-3, options: () => ({ beta2: BETA2 }) },
  frugal: frugalSvd,
  badam: {
    title: 'BAdam',
    learningRate: () => 2e-3,
    options: length => ({ density: 0.25, switchEvery: updateGap(length), unit: blockUnit(length), rule: ADAM }),
  },
  galore: {
    title: 'GaLore',
    learningRate: () => 0.04,
    options: length => ({ density: 0.25, updateGap: updateGap(length), adam: { beta2: BETA2 } }),
  },
  fira: {
    title: 'Fira',
    options: length => ({ density: 0.25, updateGap: updateGap(length), adam: { beta2: BETA2 } }),
  },
  apollo: {
    title: 'APOLLO',
    options: length => ({ density: 0.25, updateGap: updateGap(length), adam: { beta2: BETA2 } }),
  },
  apolloMini: {
    title: 'APOLLO-Mini',
    options: length => ({ updateGap: updateGap(length), adam: { beta2: BETA2 } }),
  },
  muon: { title: 'Muon', options: () => ({ rest: ADAM }) },
  frugalMuon: {
    title: 'FRUGAL-Muon',
    options: length => ({ density: 0.25, updateGap: updateGap(length), rest: ADAM }),
  },
  foam: { title: 'FOAM', options: () => ({ rest: ADAM }) },
  ldAdam: { title: 'LDAdam', options: () => ({ rest: ADAM }) },
  soap: { title: 'SOAP', options: () => ({ rest: ADAM }) },
  sinkGd: { title: 'SinkGD', options: () => ({ rest: ADAM }) },
  scale: { title: 'SCALE', options: () => ({ rest: ADAM }) },
  adaFrugal: {
    title: 'AdaFRUGAL',
    options: length => ({ density: 0.25, updateGap: updateGap(length), refreshes: 20, stateFull: ADAM }),
  },
  lisa: {
    title: 'LISA',
    options: length => ({ density: 0.25, switchEvery: updateGap(length), unit: blockUnit(length), rule: ADAM }),
  },
  golore: {
    title: 'GoLore',
    options: length => ({ density: 0.25, updateGap: updateGap(length), fitted: 16, adam: { beta2: BETA2 } }),
  },
  qGalore: {
    title: 'Q-GaLore (lazy refresh)',
    learningRate: () => 0.04,
    options: length => ({ density: 0.25, updateGap: updateGap(length), adam: { beta2: BETA2 } }),
  },
  dctAdamW: { title: 'DCT-AdamW', options: () => ({ density: 0.25, adam: { beta2: BETA2 } }) },
  adamem: { title: 'AdaMeM', options: length => ({ density: 0.25, updateGap: updateGap(length) }) },
  lion: { title: 'Lion' },
  adaLayer: { title: 'AdaLayer' },
  adafactor: { title: 'Adafactor' },
  adamMini: { title: 'Adam-mini' },
  rmsprop: { title: 'RMSprop' },
  adagrad: { title: 'Adagrad' },
  scheduleFree: { title: 'Schedule-free' },
  sgd: { title: 'SGD' },
  sgdm: { title: 'SGD with momentum' },
  signSgd: { title: 'signSGD' },
};

/** Updates between two subspaces: twenty of them in a run, as long runs see many more than one. */
export function updateGap({ steps }: RunLength): number {
  return Math.max(1, Math.round(steps / 20));
}

/** BAdam's blocks are layers; in a model of one or two layers a quarter of them is none, so matrices take turns. */
function blockUnit({ layers }: RunLength): 'layer' | 'matrix' {
  return layers < 3 ? 'matrix' : 'layer';
}

/**
 * Completes what the user wrote with the settings for a run of that length. Names are recognized without regard to
 * case.
 *
 * @throws UnknownNameError for a name that is no recipe, InvalidOptionError for options the recipe does not take.
 */
export function tunedMethod({ name, options: given }: MethodSpec, length: RunLength): Method {
  const known = recipeName(name);
  const tuning = TUNINGS[known] ?? (known.startsWith('frugal-') ? frugal : { title: known });
  const { learningRate: givenRate, ...givenOptions } = given;
  const preset = tuning.options?.(length, given) ?? {};
  // A rank takes the place of the density.
  const { density, ...withoutDensity } = preset;
  const options = { ...(givenOptions['rank'] === undefined ? preset : withoutDensity), ...givenOptions };
  const ownRate = (): number => tuning.learningRate?.(options) ?? recipe(known).learningRate;
  const learningRate = givenRate ?? ownRate();
  if (typeof learningRate !== 'number' || !(learningRate >= 0 && Number.isFinite(learningRate))) {
    throw new InvalidOptionError({
      parameter: `${known}.learningRate`,
      found: learningRate,
      expected: 'a number in [0, Infinity)',
    });
  }
  // Misspelled options are found now rather than after the runs before this one.
  recipe(known, { ...options, learningRate });
  return { label: labelOf(known, tuning, options, given), recipe: known, options, learningRate };
}

function labelOf(known: string, { title }: Tuning, options: JsonObject, given: JsonObject): string {
  const isFrugal = known.startsWith('frugal');
  const projector = known.startsWith('frugal-') ? `-${known.slice('frugal-'.length)}` : '';
  const base = isFrugal ? `${title}${projector} ρ=${options['density']}` : title;
  const extra = Object.entries(given).filter(([key]) => !(isFrugal && key === 'density'));
  if (extra.length === 0) return base;
  const shown = extra.map(([key, value]) => {
    const name = key === 'learningRate' ? 'lr' : key;
    return `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  return `${base} (${shown.join(', ')})`;
}

/**
 * The recipe that a user means, upper and lower case apart.
 *
 * @throws UnknownNameError with the names of all recipes.
 */
export function recipeName(name: string): string {
  const known = listRecipes().find(each => each.toLowerCase() === name.toLowerCase());
  if (known !== undefined) return known;
  throw new UnknownNameError({
    parameter: 'optimizer',
    found: name,
    expected: `one of ${listRecipes().join(', ')}`,
    ...didYouMean(name, listRecipes()),
  });
}
