import { randomKey, randomPermutation, type Shape, sizeOf } from '@frugaljs/core';
import { dispose } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type Objective, type ObjectiveRecipe, objective, objectiveRecipes } from '../arbitraries/objectives.js';
import { type Law, optimizerLaw, require } from '../law.js';
import { EPSILON32, show } from '../numerics/closeness.js';
import { axpy, dot, maxAbs, norm } from '../numerics/vectors.js';
import { type Algebra, composed, type LawfulOptimizer } from './algebra.js';
import { applyStep, end, makeVariables, valuesOf } from './trajectory.js';

const STEPS = 24;

interface Example {
  readonly shape: Shape;
  readonly outside: 'sgd' | 'signSgd';
  readonly momentum: number;
  /** αL. */
  readonly step: number;
  readonly every: number;
  readonly onRefresh: 'reset' | 'transport';
  readonly objective: ObjectiveRecipe;
}

const examples = (): Arbitrary<Example> =>
  fc.record({
    shape: fc.tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 4 })),
    outside: fc.constantFrom('sgd' as const, 'signSgd' as const),
    momentum: fc.constantFrom(0.9, 0.5, 0),
    step: fc.constantFrom(1, 0.1, 0.5, 1.5, 2),
    every: fc.integer({ min: 1, max: 5 }),
    onRefresh: fc.constantFrom('reset' as const, 'transport' as const),
    objective: objectiveRecipes(),
  });

/**
 * The energy of whole optimizers with momentum, by the argument in the laws of energy of projectors. An optimizer does not
 * show its momentum, but on the chosen rows the step is α m, so it can be read off the parameter.
 */
export const MOMENTUM_ENERGY_LAWS: readonly Law<Algebra>[] = [
  optimizerLaw({
    name: 'energy with momentum on rows',
    formula:
      'f⁺ + c‖m‖² ≤ f + c‖m⁻‖² - α(1 - αL/2)‖m‖² - c‖m - m̃‖² - D, α ≤ 2/L; outside D = α(1 - αL/2)‖g_F‖² for SGD, α‖g_F‖₁ - (Lα²/2) nnz(g_F) for sign',
    why: 'Momentum that survives a reset, or follows other rows than its own, adds energy; a sign inside does as well.',
    effort: 4,
    example: examples,
    check: async (algebra: Algebra, example) => {
      const run = new EnergyRun(algebra, example);
      try {
        for (let k = 0; k < STEPS; k++) await run.step(k);
      } finally {
        await run.end();
      }
    },
  }),
];

class EnergyRun {
  private readonly f: Objective;
  private readonly alpha: number;
  private readonly c: number;
  private readonly stream;
  private readonly variables;
  private readonly optimizer: LawfulOptimizer;
  /** The momentum in the full space, 0 outside. */
  private m: Float64Array;

  constructor(
    algebra: Algebra,
    private readonly example: Example,
  ) {
    const { shape, momentum, step, every, onRefresh, outside, objective: recipe } = example;
    this.f = objective(recipe, sizeOf(shape));
    this.alpha = step / this.f.smoothness;
    this.c = (this.alpha * momentum) / (2 * (1 - momentum));
    this.m = new Float64Array(sizeOf(shape));
    this.stream = { shapes: { a: shape }, steps: STEPS, seed: recipe.seed, kind: 'normal' as const };
    this.variables = makeVariables(this.stream, { a: Float32Array.from(this.f.start) });
    const use = algebra.subspace({
      projector: algebra.projectors.given({ kind: 'rows', indices: (_, refreshIndex) => this.rows(refreshIndex) }),
      rule: algebra.rules.sgdm({ momentum, convention: 'ema' }),
      combine: algebra.residual(algebra.rules[outside](), { tolerance: 0 }),
      refresh: { every },
      onRefresh,
    });
    this.optimizer = composed(algebra, use, {}, this.alpha);
  }

  async step(k: number): Promise<void> {
    const { f, alpha, c, example } = this;
    const before = await this.values();
    const g = Float64Array.from(Float32Array.from(f.gradient(before)));
    const inside = this.inside(Math.floor(k / example.every));
    applyStep(this.optimizer, this.stream, { a: Float32Array.from(g) });
    const after = await this.values();
    const m = after.map((x, i) => (inside[i] ? (before[i]! - x) / alpha : 0));
    const rest = g.map((x, i) => (inside[i] ? 0 : x));
    const carried = this.carried(k, inside);
    const change = axpy(m, -1, carried);
    const decrease =
      alpha * (1 - (alpha * f.smoothness) / 2) * dot(m, m) + c * dot(change, change) + this.decreaseOutside(rest);
    const energy = f.value(before) + c * dot(this.m, this.m);
    const next = f.value(after) + c * dot(m, m);
    // What the optimizer's float32 leaves in m and in the step, in first-order terms.
    const error =
      8 * EPSILON32 * Math.sqrt(g.length) * (Math.max(maxAbs(before), maxAbs(after)) / alpha + maxAbs(g) + maxAbs(m));
    const size = norm(m) + norm(this.m) + norm(g) + (example.outside === 'signSgd' ? Math.sqrt(g.length) : 0) + error;
    const slack = (4 * alpha * size * error) / (1 - example.momentum) + 1e-12;
    require(next <= energy - decrease + slack, () =>
      `step ${k}, αL = ${example.step}, β = ${example.momentum}: E goes from ${show(energy)} to ${show(next)}, at most ${show(energy - decrease)} + ${show(slack)} for rounding expected`);
    this.m = m;
  }

  async end(): Promise<void> {
    await end(this.optimizer);
    dispose(this.variables);
  }

  private async values(): Promise<Float64Array> {
    return Float64Array.from((await valuesOf(this.variables))['a']!);
  }

  /** Half of the rows, others in every refresh. */
  private rows(refreshIndex: number): number[] {
    const m = this.example.shape[0]!;
    const order = randomPermutation(randomKey(this.example.objective.seed, 'rows', refreshIndex), m);
    return [...order.slice(0, Math.floor(m / 2))].sort((a, b) => a - b);
  }

  private inside(refreshIndex: number): boolean[] {
    const { shape } = this.example;
    const rows = this.rows(refreshIndex);
    return Array.from({ length: sizeOf(shape) }, (_, i) => rows.includes(Math.floor(i / shape[1]!)));
  }

  /** m̃: what is left of the momentum when step k begins. */
  private carried(k: number, inside: readonly boolean[]): Float64Array {
    const { every, onRefresh } = this.example;
    if (k % every !== 0) return this.m;
    return this.m.map((x, i) => (onRefresh === 'transport' && inside[i] ? x : 0));
  }

  private decreaseOutside(rest: Float64Array): number {
    const { alpha, f, example } = this;
    if (example.outside === 'sgd') return alpha * (1 - (alpha * f.smoothness) / 2) * dot(rest, rest);
    const size = rest.reduce((sum, y) => sum + Math.abs(y), 0);
    return alpha * size - ((f.smoothness * alpha ** 2) / 2) * rest.filter(y => y !== 0).length;
  }
}
