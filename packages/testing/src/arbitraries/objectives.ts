import { randomKey, randomNormals, randomUniform } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';
import { orthonormalRows } from '../numerics.js';

/** The shape of an objective along each of its axes. */
export type Profile = 'quadratic' | 'logCosh' | 'cosine' | 'saturating';

interface Building {
  value(t: number): number;
  slope(t: number): number;
}

/** One-dimensional building blocks with |φ″| ≤ 1, φ ≥ 0. */
const PROFILES: Readonly<Record<Profile, Building>> = {
  /** t²/2: convex. */
  quadratic: { value: (t: number) => (t * t) / 2, slope: (t: number) => t },
  /** log cosh t: convex, flat far out. */
  logCosh: {
    value: (t: number) => Math.abs(t) + Math.log1p(Math.exp(-2 * Math.abs(t))) - Math.LN2,
    slope: (t: number) => Math.tanh(t),
  },
  /** 1 - cos t: not convex, many minima. */
  cosine: { value: (t: number) => 1 - Math.cos(t), slope: (t: number) => Math.sin(t) },
  /** t²/(2(1 + t²)): not convex, with plateaus. */
  saturating: { value: (t: number) => (t * t) / (2 * (1 + t * t)), slope: (t: number) => t / (1 + t * t) ** 2 },
};

export const CONVEX_PROFILES: readonly Profile[] = ['quadratic', 'logCosh'];
export const NON_CONVEX_PROFILES: readonly Profile[] = ['cosine', 'saturating'];

/** How to make an objective of any dimension. */
export interface ObjectiveRecipe {
  readonly profile: Profile;
  /** L, the Lipschitz constant of the gradient. */
  readonly smoothness: number;
  /** Smallest curvature scale relative to L. */
  readonly condition: number;
  readonly seed: number;
}

/** A smooth function f ≥ 0 with a known L, in float64. */
export interface Objective {
  /** ‖∇f(x) - ∇f(y)‖ ≤ L ‖x - y‖. */
  readonly smoothness: number;
  /** A lower bound of f. */
  readonly infimum: number;
  readonly start: Float64Array;
  value(x: ArrayLike<number>): number;
  gradient(x: ArrayLike<number>): Float64Array;
}

export interface ObjectiveOptions {
  /** Default: all. */
  readonly profiles?: readonly Profile[];
}

/** Recipes of smooth objectives, convex and not, with L from 1/4 to 4. */
export function objectiveRecipes({ profiles }: ObjectiveOptions = {}): Arbitrary<ObjectiveRecipe> {
  return fc.record({
    profile: fc.constantFrom(...(profiles ?? [...CONVEX_PROFILES, ...NON_CONVEX_PROFILES])),
    smoothness: fc.constantFrom(1, 0.25, 4),
    condition: fc.constantFrom(1, 0.1, 0.001),
    seed: fc.nat({ max: 9999 }),
  });
}

/**
 * f(x) = Σᵢ aᵢ φ(qᵢ·x - bᵢ) with orthonormal q and L·condition ≤ aᵢ ≤ L. The Hessian is Σ aᵢ φ″ qᵢqᵢᵀ, so its norm is at
 * most L, and the quadratic attains it.
 */
export function objective({ profile, smoothness, condition, seed }: ObjectiveRecipe, dimension: number): Objective {
  const { value, slope } = PROFILES[profile];
  const q = orthonormalRows(dimension, dimension, randomKey(seed, 'axes'));
  const b = randomNormals(randomKey(seed, 'offset'), dimension);
  const spread = randomKey(seed, 'curvature');
  const a = Float64Array.from({ length: dimension }, (_, i) =>
    i === 0 ? smoothness : smoothness * condition ** randomUniform(spread, i),
  );
  const coordinate = (x: ArrayLike<number>, i: number): number => {
    let sum = -b[i]!;
    for (let j = 0; j < dimension; j++) sum += q[i]![j]! * x[j]!;
    return sum;
  };
  return {
    smoothness,
    infimum: 0,
    start: Float64Array.from(randomNormals(randomKey(seed, 'start'), dimension)),
    value: x => a.reduce((sum, weight, i) => sum + weight * value(coordinate(x, i)), 0),
    gradient: x => {
      const g = new Float64Array(dimension);
      for (let i = 0; i < dimension; i++) {
        const size = a[i]! * slope(coordinate(x, i));
        for (let j = 0; j < dimension; j++) g[j]! += size * q[i]![j]!;
      }
      return g;
    },
  };
}
