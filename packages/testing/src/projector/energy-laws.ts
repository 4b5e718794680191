import { type Basis, type Projector, randomKey, randomUniform, type Site, sizeOf } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type Objective, type ObjectiveRecipe, objective, objectiveRecipes } from '../arbitraries/objectives.js';
import { EPSILON32, type Law, law, require, show } from '../law.js';
import { axpy, dot, norm } from '../numerics.js';
import {
  notOrthonormal,
  numbers,
  type ProjectorExample,
  type ProjectorFixture,
  place,
  projectorExamples,
  shapeIn,
} from './fixture.js';

/** Steps of a whole run. */
const STEPS = 24;
/** Draws of the noise in the Monte Carlo law. */
const DRAWS = 400;

/**
 * Laws of momentum in a moving subspace: with m ← βm̃ + (1-β)P g and x ← x - α(Pᵀm + (I - PᵀP)g), where m̃ is the momentum
 * of the step before or, at a refresh, any vector not longer than it, the energy E = f(x) + c‖m‖², c = αβ/(2(1-β)), never
 * increases for α ≤ 2/L, whatever the sequence of orthonormal subspaces. They find a broken projector by its consequence.
 *
 * Proof: f(x⁺) ≤ f(x) - α‹P g, m› - α‖g_F‖² + (Lα²/2)(‖m‖² + ‖g_F‖²) with g_F = g - PᵀPg, since f is L-smooth and P is
 * orthonormal. P g = (m - βm̃)/(1-β) and 2‹m̃, m› = ‖m‖² + ‖m̃‖² - ‖m - m̃‖² give
 * ‹P g, m› = [(1 - β/2)‖m‖² - (β/2)‖m̃‖² + (β/2)‖m - m̃‖²]/(1-β). Adding c‖m‖² leaves -α(1 - αL/2)‖m‖² and c‖m̃‖², at most
 * the c‖m‖² of the step before. For the rate: P g = m + κ(m - m̃) with κ = β/(1-β), and Young's inequality. With a sign
 * outside, ‖g_F‖₁ and the count of its entries that are not 0 take the place of ‖g_F‖². With noise, all in expectation.
 *
 * @see Zmushko et al., FRUGAL, arXiv 2411.07837, Algorithm 2: the method that these bounds are about; Liu, Gao and Yin, An
 *   Improved Analysis of Stochastic Gradient Descent with Momentum, arXiv 2007.07989: the form of the momentum.
 */
export const ENERGY_LAWS: readonly Law<ProjectorFixture>[] = [
  law({
    name: 'energy never increases',
    formula: 'E⁺ ≤ E - α(1 - αL/2)(‖m‖² + ‖g - PᵀPg‖²) - c‖m - m̃‖² for SGDM inside and SGD outside, every α ≤ 2/L',
    why: 'It is what makes momentum in changing subspaces safe; a basis that is not orthonormal lets the loss grow.',
    needs: ['shapes as declared', 'down ∘ up = id', 'up is the adjoint of down'],
    effort: 0.6,
    notApplicable: notOrthonormal,
    example: energyExamples,
    check: async (fixture: ProjectorFixture, example) => {
      await new MomentumRun(fixture, example).run();
    },
  }),
  law({
    name: 'rate of SGDM',
    formula: 'mean ‖∇f‖² ≤ (f⁰ - f*)/(αK) · (1/(1 - αL/2) + 2β/(1-β))',
    why: 'Whatever the subspaces, all of the gradient must be worked off: nothing is lost between the two parts.',
    needs: ['shapes as declared', 'down ∘ up = id', 'up is the adjoint of down', 'energy never increases'],
    effort: 0.4,
    notApplicable: notOrthonormal,
    example: energyExamples,
    check: async (fixture: ProjectorFixture, example) => {
      fc.pre(example.step < 2);
      const run = new MomentumRun(fixture, example);
      const f0 = run.f.value(run.x);
      const mean = (await run.run()) / STEPS;
      const { step: s, momentum: b } = example;
      const bound = ((f0 - run.f.infimum) / (run.alpha * STEPS)) * (1 / (1 - s / 2) + (2 * b) / (1 - b));
      require(mean <= bound * (1 + 1e-4) + 1e-9, () =>
        `mean ‖∇f‖² over ${STEPS} steps is ${show(mean)}, at most ${show(bound)} expected`);
    },
  }),
  law({
    name: 'energy with a sign residual',
    formula:
      'E⁺ ≤ E - α(1 - αL/2)‖m‖² - α‖g_F‖₁ + (Lα²/2) nnz(g_F) - c‖m - m̃‖² for SGDM inside and sign outside, coordinates F',
    why: 'The hybrid of the paper descends only if the sign acts on the coordinates outside and on none inside.',
    needs: ['energy never increases', 'coordinates are kept or dropped'],
    effort: 0.4,
    notApplicable: fixture =>
      notOrthonormal(fixture) ??
      (fixture.traits.coordinate ? null : 'not true for a dense projector: the sign reaches back'),
    example: energyExamples,
    check: async (fixture: ProjectorFixture, example) => {
      await new MomentumRun(fixture, example, 'sign').run();
    },
  }),
  law({
    name: 'energy under noise',
    formula: 'E[E⁺] ≤ E - α(1 - αL/2)E(‖m‖² + ‖g_F‖²) - cE‖m - m̃‖² + α(1-β)σ_J² + (Lα²/2)σ_F²',
    why: 'Training gradients are noisy; the subspace must pass the variance on and not amplify it.',
    needs: ['energy never increases'],
    effort: 0.12,
    notApplicable: fixture =>
      notOrthonormal(fixture) ?? (fixture.traits.basisFrom === 'gradient' ? 'the subspace depends on the noise' : null),
    example: energyExamples,
    check: async (fixture: ProjectorFixture, example) => {
      const run = new MomentumRun(fixture, example);
      await run.run(3);
      await run.requireDriftUnderNoise();
    },
  }),
];

/** What one run of an energy law draws. */
interface EnergyExample extends ProjectorExample {
  readonly objective: ObjectiveRecipe;
  /** β, the decay of the momentum. */
  readonly momentum: number;
  /** αL, the step size relative to 1/L, at most 2. */
  readonly step: number;
  /** Steps between refreshes. */
  readonly every: number;
  readonly onRefresh: 'reset' | 'keep' | 'transport';
}

function energyExamples(fixture: ProjectorFixture): Arbitrary<EnergyExample> {
  const own = fc.record({
    objective: objectiveRecipes(),
    momentum: fc.constantFrom(0, 0.5, 0.9, 0.99),
    step: fc.constantFrom(1, 0.05, 0.5, 1.5, 1.95, 2),
    every: fc.integer({ min: 1, max: 6 }),
    onRefresh: fc.constantFrom('reset' as const, 'keep' as const, 'transport' as const),
  });
  return fc.tuple(projectorExamples(fixture), own).map(([example, more]) => ({ ...example, ...more }));
}

/** SGDM in the subspace and SGD or signSGD outside, in float64 but for down and up. */
class MomentumRun {
  readonly f: Objective;
  readonly alpha: number;
  x: Float64Array;
  private readonly c: number;
  private readonly projector: Projector;
  private readonly site: Site;
  private basis: Basis | null = null;
  private m: Float64Array = new Float64Array(0);
  private refreshIndex = -1;

  constructor(
    fixture: ProjectorFixture,
    private readonly example: EnergyExample,
    private readonly outside: 'gradient' | 'sign' = 'gradient',
  ) {
    const { projector, site } = place(fixture, example);
    [this.projector, this.site] = [projector, site];
    this.f = objective(example.objective, sizeOf(site.shape));
    this.x = this.f.start.slice();
    this.alpha = example.step / this.f.smoothness;
    this.c = (this.alpha * example.momentum) / (2 * (1 - example.momentum));
  }

  /** Runs and checks every step; returns Σ‖∇f‖². */
  async run(steps: number = STEPS): Promise<number> {
    const { f, alpha, c, example } = this;
    let energy = f.value(this.x) + c * dot(this.m, this.m);
    let squares = 0;
    for (let k = 0; k < steps; k++) {
      // As float32, so that a coordinate projector leaves exact zeros inside.
      const g = Float64Array.from(Float32Array.from(f.gradient(this.x)));
      squares += dot(g, g);
      await this.refresh(g, k);
      const before = this.m;
      const { m, rest, x } = await this.step(g);
      const change = axpy(m, -1, before);
      const decrease =
        alpha * (1 - (alpha * f.smoothness) / 2) * dot(m, m) + this.decreaseOutside(rest) + c * dot(change, change);
      const next = f.value(x) + c * dot(m, m);
      // down and up round in float32: their error enters the first-order term ‹g, step›.
      const slack =
        400 *
          EPSILON32 *
          Math.sqrt(this.x.length) *
          (alpha * (dot(g, g) + dot(m, m) + this.sizeOutside(rest)) + c * dot(before, before)) +
        1e-12;
      require(next <= energy - decrease + slack, () =>
        `step ${k}, αL = ${example.step}, β = ${example.momentum}: E goes from ${show(energy)} to ${show(next)}, at most ${show(energy - decrease)} expected`);
      [this.x, this.m, energy] = [x, m, next];
    }
    return squares;
  }

  /** One more step from here, many times with other noise: the mean change of the energy is within its bound. */
  async requireDriftUnderNoise(): Promise<void> {
    const { f, alpha, c, example } = this;
    const b = example.momentum;
    const g = f.gradient(this.x);
    await this.refresh(g, STEPS);
    const before = this.m;
    const energy = f.value(this.x) + c * dot(before, before);
    const sigma = norm(g) / Math.sqrt(g.length) + 0.1;
    const key = randomKey(example.seed, 'noise');
    const excess: number[] = [];
    for (let draw = 0; draw < DRAWS; draw++) {
      const noise = g.map((_, i) => (randomUniform(key, draw * g.length + i) < 0.5 ? -sigma : sigma));
      const { m, rest, x, inside } = await this.step(axpy(g, 1, noise), noise);
      const change = axpy(m, -1, before);
      const clean = axpy(rest, -1, axpy(noise, -1, inside.noise));
      const next = f.value(x) + c * dot(m, m);
      const bound =
        energy - alpha * (1 - (alpha * f.smoothness) / 2) * (dot(m, m) + dot(clean, clean)) - c * dot(change, change);
      excess.push(next - bound);
    }
    const rank = this.m.length;
    const [inJ, inF] = [rank * sigma ** 2, (g.length - rank) * sigma ** 2];
    const allowed = alpha * (1 - b) * inJ + ((f.smoothness * alpha ** 2) / 2) * inF;
    const mean = excess.reduce((sum, x) => sum + x, 0) / DRAWS;
    const variance = excess.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (DRAWS - 1);
    // Eight standard errors of a mean of bounded, nearly normal terms: false alarms far below 1e-9.
    const slack = 8 * Math.sqrt(variance / DRAWS) + 1e-4 * (allowed + energy);
    require(mean <= allowed + slack, () =>
      `the energy exceeds its bound without noise by ${show(mean)} on average, ${show(allowed)} ± ${show(slack)} expected`);
  }

  private async step(
    g: Float64Array,
    noise?: Float64Array,
  ): Promise<{ m: Float64Array; rest: Float64Array; x: Float64Array; inside: { noise: Float64Array } }> {
    const { alpha, example } = this;
    const low = await this.down(g);
    const m = low.map((y, i) => example.momentum * this.m[i]! + (1 - example.momentum) * y);
    const rest = axpy(g, -1, await this.up(low));
    const move = this.outside === 'sign' ? rest.map(Math.sign) : rest;
    const x = axpy(axpy(this.x, -alpha, await this.up(m)), -alpha, move);
    return { m, rest, x, inside: { noise: noise === undefined ? noNoise : await this.up(await this.down(noise)) } };
  }

  /** What the part outside lowers f by, at least. */
  private decreaseOutside(rest: Float64Array): number {
    const { alpha, f, outside } = this;
    if (outside === 'gradient') return alpha * (1 - (alpha * f.smoothness) / 2) * dot(rest, rest);
    const nonZero = rest.filter(y => y !== 0).length;
    return alpha * this.sizeOutside(rest) - ((f.smoothness * alpha ** 2) / 2) * nonZero;
  }

  /** The first-order term of the part outside, ‹g, direction›, where it is not already in ‖g‖². */
  private sizeOutside(rest: Float64Array): number {
    return this.outside === 'gradient' ? 0 : rest.reduce((sum, y) => sum + Math.abs(y), 0);
  }

  /** Moves to the subspace of step k, and the momentum with it. */
  private async refresh(g: Float64Array, k: number): Promise<void> {
    const { projector, site, example } = this;
    const refreshIndex = Math.floor(k / example.every);
    if (refreshIndex === this.refreshIndex) return;
    this.refreshIndex = refreshIndex;
    const reduced = projector.reducedShape(site, refreshIndex);
    const isEmpty = reduced === null || sizeOf(reduced) === 0;
    const previous = this.basis;
    this.basis = isEmpty ? null : projector.fit(this.tensorOf(g), previous, { site, refreshIndex });
    const size = this.basis === null ? 0 : sizeOf(this.shapeIn(this.basis));
    const comparable = previous !== null && this.basis !== null && this.m.length === size;
    if (!comparable || example.onRefresh === 'reset') this.m = new Float64Array(size);
    else if (example.onRefresh === 'transport') this.m = await this.down(await this.lift(this.m, previous));
  }

  private tensorOf(g: ArrayLike<number>): Tensor {
    return tensor(Float32Array.from(g), [...this.site.shape], 'float32');
  }

  private async down(g: ArrayLike<number>): Promise<Float64Array> {
    if (this.basis === null) return new Float64Array(0);
    return Float64Array.from(await numbers(this.projector.down(this.tensorOf(g), this.basis, this.site)));
  }

  private async up(y: Float64Array): Promise<Float64Array> {
    return this.basis === null ? new Float64Array(this.x.length) : await this.lift(y, this.basis);
  }

  private async lift(y: Float64Array, basis: Basis): Promise<Float64Array> {
    const low = tensor(Float32Array.from(y), [...this.shapeIn(basis)], 'float32');
    return Float64Array.from(await numbers(this.projector.up(low, basis, this.site)));
  }

  private shapeIn(basis: Basis): readonly number[] {
    return shapeIn({ projector: this.projector, site: this.site, refreshIndex: this.refreshIndex, basis });
  }
}

const noNoise = new Float64Array(0);
