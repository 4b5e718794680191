import * as fc from 'fast-check';
import type { Problem } from './run.js';

type Parameters = Problem['params'];

/** Vectors and matrices of all proportions, as the projected classes meet them. */
const MATRICES: Parameters = [
  { name: 'w1', shape: [8, 6], projectable: true },
  { name: 'norm', shape: [5], projectable: false },
  { name: 'w2', shape: [4, 7], projectable: true },
  { name: 'w3', shape: [5, 5], projectable: true },
];

/** Blocks may have any shape; five of them make odd halves and ties. */
const BLOCKS: Parameters = [
  { name: 'norm', shape: [3], projectable: false },
  { name: 'w0', shape: [4, 3], projectable: true },
  { name: 'w1', shape: [6], projectable: true },
  { name: 'w2', shape: [2, 3, 2], projectable: true },
  { name: 'w3', shape: [3, 3], projectable: true },
  { name: 'w4', shape: [2, 5], projectable: true },
];

const optional = { requiredKeys: [] as [] };

const LEARNING = {
  lr: fc.constantFrom(0.001, 0.01, 0.05),
  weight_decay: fc.constantFrom(0, 0.01, 0.3),
};

const betas = fc.tuple(fc.constantFrom(0, 0.5, 0.9), fc.constantFrom(0.5, 0.99, 0.999));

const BASES: Readonly<Record<string, fc.Arbitrary<object>>> = {
  AdamW: fc.record(
    {
      ...LEARNING,
      betas,
      eps: fc.constantFrom(1e-8, 1e-6, 0.1),
      correct_bias: fc.boolean(),
      no_deprecation_warning: fc.boolean(),
    },
    optional,
  ),
  Lion: fc.record({ ...LEARNING, betas }, optional),
  SGD: fc
    .record(
      {
        ...LEARNING,
        momentum: fc.constantFrom(0, 0.5, 0.9, 1.1),
        dampening: fc.constantFrom(0, 0.3, 1, 1.5, -0.5),
        nesterov: fc.boolean(),
        sign_update: fc.boolean(),
      },
      optional,
    )
    .map(config => {
      // The official class refuses Nesterov momentum with dampening or without momentum.
      if (!config.nesterov) return config;
      const { dampening: _, momentum = 0.9, ...rest } = config;
      return { ...rest, momentum: momentum === 0 ? 0.9 : momentum };
    }),
};

const DENSITY = fc.constantFrom(0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 1);

const PROJECTED = {
  density: DENSITY,
  update_gap: fc.constantFrom(1, 2, 3, 4, 200),
  reset_statistics: fc.boolean(),
  inactive_update_rule: fc.constantFrom('no', 'sgd', 'sign_sgd'),
  inactive_lr_scale: fc.constantFrom(0, 0.1, 1),
  proj_params_lr_scale: fc.constantFrom(0, 0.3, 1, 2),
};

const PROJECTIONS: Readonly<Record<string, fc.Arbitrary<object>>> = {
  Galore: fc.record(
    {
      ...PROJECTED,
      proj_side: fc.constantFrom('std', 'reverse_std', 'right', 'left', 'full'),
      proj_type: fc.constantFrom('svd', 'random', 'randperm'),
    },
    optional,
  ),
  Coord: fc.record({ ...PROJECTED, coord_choice: fc.constantFrom('columns', 'rows', 'randk') }, optional),
  Block: fc
    .record({ ...PROJECTED, block_order: fc.constantFrom('random', 'ascending', 'descending', 'mirror') }, optional)
    .map(config => {
      // Mirrored blocks come in pairs: 2 or 4 of the 5.
      const { block_order: order, density = 0.25 } = config;
      return order === 'mirror' ? { ...config, density: density < 0.5 ? 0.5 : 0.7 } : config;
    }),
};

export const PLAIN_CLASSES: readonly string[] = Object.keys(BASES);
export const FRUGAL_CLASSES: readonly string[] = [
  ...PLAIN_CLASSES,
  ...Object.keys(PROJECTIONS).flatMap(projection => PLAIN_CLASSES.map(base => `${projection}${base}`)),
];

/** Random arguments of a class of FRUGAL's code, random gradients, and now and then a missing one. */
export function frugalProblems(className: string): fc.Arbitrary<Problem> {
  const base = PLAIN_CLASSES.find(name => className.endsWith(name))!;
  const projection = className.slice(0, -base.length);
  const config = projection === '' ? BASES[base]! : fc.tuple(BASES[base]!, PROJECTIONS[projection]!).map(merged);
  return problemsOf(`FRUGAL ${className}`, config, projection === 'Block' ? BLOCKS : MATRICES);
}

const GALORE = {
  rank: fc.constantFrom(1, 2, 3, 4, 5, 9),
  update_proj_gap: fc.constantFrom(1, 2, 3, 200),
  scale: fc.constantFrom(0.25, 1),
  proj_type: fc.constantFrom('std', 'reverse_std', 'right', 'left', 'full'),
};

const GALORE_BASES = {
  AdamW: fc.record(
    {
      ...LEARNING,
      betas,
      eps: fc.constantFrom(1e-8, 1e-6, 0.1),
      correct_bias: fc.boolean(),
      no_deprecation_warning: fc.boolean(),
    },
    optional,
  ),
  Adafactor: fc
    .record(
      {
        ...LEARNING,
        eps: fc.constantFrom([1e-30, 1e-3], [1e-10, 2]),
        clip_threshold: fc.constantFrom(0.5, 1, 100),
        decay_rate: fc.constantFrom(-0.8, -0.5),
        beta1: fc.constantFrom(null, 0, 0.9),
        scale_parameter: fc.boolean(),
        relative_step: fc.boolean(),
        warmup_init: fc.boolean(),
      },
      optional,
    )
    .map(({ lr = 0.01, warmup_init, ...config }) => {
      // The official class takes a learning rate of one's own or one from the step, not both.
      if (config.relative_step === false) return { ...config, lr };
      return { ...config, lr: null, ...(warmup_init === undefined ? {} : { warmup_init }) };
    }),
};

export const GALORE_CLASSES = Object.keys(GALORE_BASES) as readonly (keyof typeof GALORE_BASES)[];

/** Random arguments of a class of GaLore's code, with a projected group or without. */
export function galoreProblems(className: (typeof GALORE_CLASSES)[number]): fc.Arbitrary<Problem> {
  const group = fc.option(fc.record(GALORE), { nil: {}, freq: 6 });
  return problemsOf(
    `GaLore ${className}`,
    fc.tuple<[object, object]>(GALORE_BASES[className], group).map(merged),
    MATRICES,
  );
}

function problemsOf(official: string, config: fc.Arbitrary<object>, params: Parameters): fc.Arbitrary<Problem> {
  return fc
    .record({
      config,
      seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      steps: fc.integer({ min: 1, max: 9 }),
      missing: fc.constantFrom(0, 0, 0.15),
    })
    .map(drawn => ({ official, params, ...drawn, config: drawn.config as Problem['config'] }));
}

function merged([a, b]: [object, object]): object {
  return { ...a, ...b };
}
