import { recipeOptions } from '@frugaljs/composer/recipe-options';
import type { OptionSpec } from '@frugaljs/core/options';
import type { RecipeSettings } from './protocol.js';

/** A recipe of `@frugaljs/composer` as the form offers it. */
export interface CatalogEntry {
  readonly recipe: string;
  readonly title: string;
  /** What it does, in a line. */
  readonly summary: string;
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
    learningRate: 0.003,
    options: () => ({ beta2: BETA2 }),
  },
  {
    recipe: 'frugal',
    title: 'FRUGAL',
    summary: 'AdamW in a small subspace that moves on; signSGD, without any state, on the rest.',
    learningRate: 0.004,
    options: ({ density, projector, updateGap }) => ({ density, projector, updateGap, stateFull: ADAM }),
  },
  {
    recipe: 'galore',
    title: 'GaLore',
    summary: 'Adam on the leading singular vectors of each gradient; the rest is dropped.',
    learningRate: 0.04,
    options: ({ density, updateGap }) => ({ density, updateGap, adam: { beta2: BETA2 } }),
  },
  {
    recipe: 'badam',
    title: 'BAdam',
    summary: 'Blocks of the model take turns with AdamW; all others rest.',
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
    learningRate: 0.002,
    options: () => ({}),
  },
  {
    recipe: 'adafactor',
    title: 'Adafactor',
    summary: 'Second moments by row and column instead of by entry.',
    learningRate: 0.01,
    options: () => ({}),
  },
  {
    recipe: 'signSgd',
    title: 'signSGD',
    summary: 'The sign of the gradient. No state at all.',
    learningRate: 0.008,
    options: () => ({}),
  },
  {
    recipe: 'sgdm',
    title: 'SGD with momentum',
    summary: 'One moment for every parameter, and no scaling.',
    learningRate: 0.1,
    options: () => ({}),
  },
];

/** A setting of the form besides the learning rate. */
export type FormField = 'density' | 'projector' | 'updateGap';

/** What the form calls its settings of an optimizer. */
export const FIELD_LABELS: Readonly<Record<FormField | 'learningRate', string>> = {
  learningRate: 'Learning rate',
  density: 'Density',
  projector: 'Subspace',
  updateGap: 'Update gap',
};

/** The options that each field of the form sets, by the name that a recipe has for it. */
const FIELD_OPTIONS: Readonly<Record<FormField, readonly string[]>> = {
  density: ['density'],
  projector: ['projector'],
  updateGap: ['updateGap', 'switchEvery'],
};
export const FORM_FIELDS: readonly FormField[] = ['density', 'projector', 'updateGap'];

/** The fields that a recipe reads: those of which it has an option. */
export function fieldsOf(recipe: string): readonly FormField[] {
  const options = recipeOptions(recipe);
  return FORM_FIELDS.filter(field => FIELD_OPTIONS[field].some(option => option in options));
}

/** The field that sets an option of a recipe; undefined for an option that the form does not offer. */
export function fieldOfOption(option: string): FormField | undefined {
  return FORM_FIELDS.find(field => FIELD_OPTIONS[field].includes(option));
}

/** What a field may be: the row of its option in the recipe that has all of them. */
export function specOf(field: FormField): OptionSpec {
  return recipeOptions('frugal')[FIELD_OPTIONS[field][0]!]!;
}

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
  const [density, projector] = [specOf('density').default as number, specOf('projector').default as string];
  // A run of the page is too short for the default of 200 updates.
  return { kind: 'recipe', recipe, learningRate, density, projector, updateGap: 20 };
}

/** A short name that tells settings of the same recipe apart. */
export function labelOf(settings: RecipeSettings): string {
  const { title } = catalogEntry(settings.recipe);
  const fields = fieldsOf(settings.recipe);
  const density = fields.includes('density') ? ` ρ=${settings.density}` : '';
  const projector =
    fields.includes('projector') && settings.projector !== specOf('projector').default ? ` ${settings.projector}` : '';
  return `${title}${density}${projector}`;
}
