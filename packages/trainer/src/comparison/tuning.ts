import { recipe } from '@frugaljs/composer';
import { InvalidOptionError } from '@frugaljs/core';
import { recipeName } from '../recipe-name.js';
import type { JsonObject, Method, MethodSpec } from './method.js';

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
  lion: { title: 'Lion' },
  adaLayer: { title: 'AdaLayer' },
  adafactor: { title: 'Adafactor' },
  adamMini: { title: 'Adam-mini' },
  rmsprop: { title: 'RMSprop' },
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
