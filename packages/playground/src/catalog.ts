import type { RecipeSettings } from './protocol.js';

/** A recipe of `@frugaljs/composer` as the form offers it. */
export interface CatalogEntry {
  readonly recipe: string;
  readonly title: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** Settings besides the learning rate. */
  readonly fields: readonly ('density' | 'projector' | 'updateGap')[];
  /** Peak learning rate: the best of two to four that were tried on the built-in text, for 200 or 400 steps. */
  readonly learningRate: number;
  /** Options of the recipe, from the settings of the form. */
  readonly options: (settings: RecipeSettings, layers: number) => { readonly [option: string]: unknown };
}

/**
 * β₂ of Adam in runs of a few hundred steps: the usual 0.999 averages over the last thousand gradients, more than such
 * a run has.
 */
const BETA2 = 0.95;
const ADAM = { kind: 'adamW', options: { beta2: BETA2 } };

/** What the form offers, in its order. */
export const CATALOG: readonly CatalogEntry[] = [
  {
    recipe: 'adamW',
    title: 'AdamW',
    summary: 'Two moments for every parameter. The usual choice, and the hungriest.',
    fields: [],
    learningRate: 0.003,
    options: () => ({ beta2: BETA2 }),
  },
  {
    recipe: 'frugal',
    title: 'FRUGAL',
    summary: 'AdamW in a small subspace that moves on; signSGD, without any state, on the rest.',
    fields: ['density', 'projector', 'updateGap'],
    learningRate: 0.004,
    options: ({ density, projector, updateGap }) => ({ density, projector, updateGap, stateFull: ADAM }),
  },
  {
    recipe: 'galore',
    title: 'GaLore',
    summary: 'Adam on the leading singular vectors of each gradient; the rest is dropped.',
    fields: ['density', 'updateGap'],
    learningRate: 0.04,
    options: ({ density, updateGap }) => ({ density, updateGap, adam: { beta2: BETA2 } }),
  },
  {
    recipe: 'badam',
    title: 'BAdam',
    summary: 'Blocks of the model take turns with AdamW; all others rest.',
    fields: ['density', 'updateGap'],
    learningRate: 0.004,
    // A quarter of one or two layers is none, so matrices take turns there.
    options: ({ density, updateGap }, layers) => ({
      density,
      switchEvery: updateGap,
      unit: layers < 3 ? 'matrix' : 'layer',
      rule: ADAM,
    }),
  },
  {
    recipe: 'lion',
    title: 'Lion',
    summary: 'The sign of one moment for every parameter.',
    fields: [],
    learningRate: 0.002,
    options: () => ({}),
  },
  {
    recipe: 'adafactor',
    title: 'Adafactor',
    summary: 'Second moments by row and column instead of by entry.',
    fields: [],
    learningRate: 0.01,
    options: () => ({}),
  },
  {
    recipe: 'signSgd',
    title: 'signSGD',
    summary: 'The sign of the gradient. No state at all.',
    fields: [],
    learningRate: 0.008,
    options: () => ({}),
  },
  {
    recipe: 'sgdm',
    title: 'SGD with momentum',
    summary: 'One moment for every parameter, and no scaling.',
    fields: [],
    learningRate: 0.1,
    options: () => ({}),
  },
];

/** The projectors that the form offers for FRUGAL, with what they select. */
export const PROJECTORS: readonly (readonly [name: string, title: string])[] = [
  ['rows', 'rows'],
  ['columns', 'columns'],
  ['randK', 'random entries'],
  ['blockwise', 'whole matrices'],
  ['svd', 'singular vectors'],
  ['random', 'random basis'],
  ['dct', 'cosine basis'],
];

/** The entry of a recipe; an error for a name that the form does not offer. */
export function catalogEntry(recipe: string): CatalogEntry {
  const entry = CATALOG.find(candidate => candidate.recipe === recipe);
  if (entry === undefined) throw new RangeError(`recipe: expected one of the form's, found ${recipe}`);
  return entry;
}

/** The settings that a recipe starts with. */
export function defaultSettings(recipe: string): RecipeSettings {
  const { learningRate } = catalogEntry(recipe);
  return { kind: 'recipe', recipe, learningRate, density: 0.25, projector: 'rows', updateGap: 20 };
}

/** A short name that tells settings of the same recipe apart. */
export function labelOf(settings: RecipeSettings): string {
  const { title, fields } = catalogEntry(settings.recipe);
  const density = fields.includes('density') ? ` ρ=${settings.density}` : '';
  const projector = fields.includes('projector') && settings.projector !== 'rows' ? ` ${settings.projector}` : '';
  return `${title}${density}${projector}`;
}
