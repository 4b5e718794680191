import { randomKey, randomUniform, type Shape, sizeOf } from '@frugaljs/core';
import { dispose } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import type { GradientStream } from '../arbitraries/gradient-streams.js';
import { type Objective, type ObjectiveRecipe, objective, objectiveRecipes } from '../arbitraries/objectives.js';
import { type Law, optimizerLaw, require } from '../law.js';
import { EPSILON32, show } from '../numerics/closeness.js';
import { dot } from '../numerics/vectors.js';
import { type Algebra, COORDINATE, composed, DENSE, type ProjectorName } from './algebra.js';
import { applyStep, end, makeVariables, valuesOf } from './trajectory.js';

const STEPS = 30;

interface Example {
  readonly shape: Shape;
  readonly projector: ProjectorName;
  readonly density: number;
  readonly momentum: number;
  readonly step: number;
  readonly every: number;
  readonly onRefresh: 'reset' | 'transport';
  readonly objective: ObjectiveRecipe;
}

const examples = (projectors: readonly ProjectorName[]): fc.Arbitrary<Example> =>
  fc.record({
    shape: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    projector: fc.constantFrom(...projectors),
    density: fc.constantFrom(0.5, 0.25, 0.75, 0, 1),
    momentum: fc.constantFrom(0, 0.5, 0.9),
    step: fc.constantFrom(1, 0.1, 0.5, 1.5, 1.9),
    every: fc.integer({ min: 1, max: 5 }),
    onRefresh: fc.constantFrom('reset' as const, 'transport' as const),
    objective: objectiveRecipes(),
  });

/**
 * Laws of descent of whole optimizers, on smooth functions with a known L. Why they hold: see the laws of energy of
 * projectors for the first two. For the third, z = x - ακm with κ = β/(1-β) makes the step z⁺ = z - αg̃ in every coordinate,
 * so f(z) goes down like that of SGD but for α²L²‖z - x‖² = α²L²(ακ)²‖m_J‖², where m_J averages the noise to
 * ((1-β)/(1+β))σ_J² (Liu, Gao and Yin, arXiv 2007.07989).
 */
export const OPTIMIZER_ENERGY_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'rate of SGDM/SGD',
    formula:
      'mean ‖∇f‖² ≤ (f⁰ - f*)/(αK) · (1/(1 - αL/2) + 2β/(1-β)) for every projector, α < 2/L, reset and transport',
    why: 'The whole optimizer, refreshes included, must keep what the energy argument promises.',
    effort: 3,
    example: () => examples([...COORDINATE, ...DENSE]),
    check: async (algebra: Algebra, example) => {
      const { f, path, gradients, alpha } = await descend(algebra, example, 'sgd');
      const mean = gradients.reduce((sum, g) => sum + dot(g, g), 0) / STEPS;
      const { step: s, momentum: b } = example;
      const bound = ((path[0]! - f.infimum) / (alpha * STEPS)) * (1 / (1 - s / 2) + (2 * b) / (1 - b));
      require(mean <= bound * 1.0001 + 1e-8, () => `mean ‖∇f‖² is ${show(mean)}, at most ${show(bound)} expected`);
    },
  }),
  optimizerLaw({
    name: 'SGDM with a sign residual',
    formula: 'β = 0: f⁺ ≤ f - Σⱼ min(α(1 - αL/2)gⱼ², α|gⱼ| - Lα²/2), whichever coordinates are inside',
    why: 'With coordinate projectors the sign of the residual descends; it must act on the residual only.',
    effort: 2,
    example: () => examples(COORDINATE),
    check: async (algebra: Algebra, example) => {
      // β = 0 leaves no unseen momentum in the energy: E = f.
      const { f, path, gradients, alpha } = await descend(algebra, { ...example, momentum: 0 }, 'signSgd');
      const L = f.smoothness;
      gradients.forEach((g, k) => {
        // Whichever side an entry is on, its part of the decrease is at least the smaller of the two.
        const promised = g.reduce((sum, x) => {
          const inside = alpha * (1 - (alpha * L) / 2) * x * x;
          const outside = x === 0 ? 0 : alpha * Math.abs(x) - (L * alpha ** 2) / 2;
          return sum + Math.min(inside, outside);
        }, 0);
        const slack = 400 * EPSILON32 * (alpha * dot(g, g) + alpha * g.length + Math.abs(path[k]!)) + 1e-7;
        require(path[k + 1]! <= path[k]! - promised + slack, () =>
          `step ${k}: f goes from ${show(path[k]!)} to ${show(path[k + 1]!)}, at most ${show(path[k]! - promised)} expected`);
      });
    },
  }),
  optimizerLaw({
    name: 'stochastic rate, fixed subspace',
    formula: '(1/K)ΣE‖∇f‖² ≤ 4(f⁰-f*)/(αK) + 2Lασ² + 4L²α²κ²((1-β)/(1+β))σ_J² for αL ≤ 1/4, αLκ ≤ 1/(2√2)',
    why: 'Momentum must average noise and not add to it.',
    effort: 0.4,
    example: () => fc.tuple(examples(COORDINATE), fc.nat({ max: 999 })).map(([e, seed]) => ({ ...e, seed })),
    check: async (algebra: Algebra, example) => {
      const b = example.momentum;
      const kappa = b / (1 - b);
      const step = Math.min(0.25, kappa === 0 ? 0.25 : 1 / (2 * Math.SQRT2 * kappa));
      const runs = 24;
      const sigma = 0.5;
      const key = randomKey(example.seed, 'noise');
      const size = sizeOf(example.shape);
      const means: number[] = [];
      let [start, alpha, L] = [0, 0, 0];
      for (let run = 0; run < runs; run++) {
        const noise = (k: number): number[] =>
          Array.from({ length: size }, (_, i) =>
            randomUniform(key, (run * STEPS + k) * size + i) < 0.5 ? -sigma : sigma,
          );
        const fixed = { ...example, step, every: Number.POSITIVE_INFINITY };
        const result = await descend(algebra, fixed, 'sgd', noise);
        means.push(result.gradients.reduce((sum, g) => sum + dot(g, g), 0) / STEPS);
        [start, alpha, L] = [result.path[0]! - result.f.infimum, result.alpha, result.f.smoothness];
      }
      const mean = means.reduce((a, x) => a + x, 0) / runs;
      const spread = Math.sqrt(means.reduce((a, x) => a + (x - mean) ** 2, 0) / (runs - 1) / runs);
      const variance = size * sigma ** 2;
      const bound =
        (4 * start) / (alpha * STEPS) +
        2 * L * alpha * variance +
        4 * (L * alpha * kappa) ** 2 * ((1 - b) / (1 + b)) * variance;
      // Twelve standard errors: Student's t with 23 degrees of freedom is beyond with a probability below 1e-10.
      require(mean <= bound + 12 * spread, () =>
        `over ${runs} runs the mean ‖∇f‖² is ${show(mean)} ± ${show(spread)}, at most ${show(bound)} expected`);
    },
  }),
];

/** Runs SGDM (EMA) inside and a rule outside on an objective; values of f before every step and after the last. */
async function descend(
  algebra: Algebra,
  { shape, projector, density, momentum, step, every, onRefresh, objective: recipe }: Example,
  outside: 'sgd' | 'signSgd',
  noise?: (step: number) => readonly number[],
): Promise<{ f: Objective; path: number[]; gradients: Float64Array[]; alpha: number }> {
  const f = objective(recipe, sizeOf(shape));
  const alpha = step / f.smoothness;
  const use = algebra.subspace({
    projector: algebra.projectors[projector]({ density }),
    rule: algebra.rules.sgdm({ momentum, convention: 'ema' }),
    combine: algebra.residual(algebra.rules[outside](), { tolerance: 0 }),
    refresh: { every },
    onRefresh,
  });
  const stream: GradientStream = { shapes: { a: shape }, steps: STEPS, seed: recipe.seed, kind: 'normal' };
  const variables = makeVariables(stream, { a: Float32Array.from(f.start) });
  const optimizer = composed(algebra, use, {}, alpha);
  const [path, gradients]: [number[], Float64Array[]] = [[], []];
  try {
    for (let k = 0; k < STEPS; k++) {
      const x = (await valuesOf(variables))['a']!;
      const g = f.gradient(x);
      path.push(f.value(x));
      gradients.push(g);
      const shift = noise?.(k);
      const seen = shift === undefined ? g : g.map((y, i) => y + shift[i]!);
      applyStep(optimizer, stream, { a: Float32Array.from(seen) });
    }
    path.push(f.value((await valuesOf(variables))['a']!));
  } finally {
    await end(optimizer);
    dispose(variables);
  }
  return { f, path, gradients, alpha };
}
