import { type FitContext, type Projector, randomKey, randomUniform, type Site, sizeOf } from '@frugaljs/core';
import { dispose, tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { require } from '../law.js';
import { show } from '../numerics/closeness.js';
import { dot } from '../numerics/vectors.js';
import { type ProjectorExample, type ProjectorSubject, place, projectOnto } from './subject.js';
import { numbers } from './tensor-numbers.js';

/** Subspaces that the mean of Π is taken over. */
const DRAWS = 1000;
/** False alarms of one statistical check: far below 1e-9 for a whole suite of them. */
const FALSE_ALARM = 1e-12;

/**
 * With random signs s, the mean of (Πs)ᵢ sᵢ is E Πᵢᵢ, and that of (Πs)ᵢ sⱼ is E Πᵢⱼ: one call per draw tests every entry.
 * (Πs)ᵢ sⱼ - E Πᵢⱼ is the sum of a part that is bounded given Π, sub-Gaussian with variance proxy Σ_{k≠j} Πᵢₖ² ≤ 1, and
 * of Πᵢⱼ - E Πᵢⱼ with proxy ≤ 1/4, so the mean of N draws is further than ε from its expectation with probability at
 * most 2 exp(-N ε² / 2.5). For i = j the first proxy is Πᵢᵢ - Πᵢᵢ² ≤ 1/4, and the bound 2 exp(-N ε²); a
 * coordinate projector has only the second part there, hence 2 exp(-2N ε²). Parameters that are taken whole or not at all
 * are kept alike in all their directions by construction.
 *
 * A subspace that leans in one direction by a little in every coordinate shows along that direction at once: with
 * u = (1, …, 1)/√n, ‖Πu‖² lies in [0, 1] and has the mean ρ, hence 2 exp(-2N ε²). A coordinate projector keeps exactly
 * its share of u.
 */
export async function requireUnbiased(subject: ProjectorSubject, example: ProjectorExample): Promise<void> {
  const { projector, site, refreshIndex } = place(subject, example);
  const size = sizeOf(site.shape);
  // Of subspaces that are nearly nothing or nearly everything, a bias shows least.
  const share = sizeOf(projector.reducedShape(site, refreshIndex) ?? [0]) / size;
  fc.pre(Object.keys(projector.basis(site)).length > 0 && share >= 0.15 && share <= 0.85);
  const sums = new Float64Array(size * size);
  let [kept, along] = [0, 0];
  const { coordinate } = projector.traits;
  const uniform = new Float32Array(size).fill(1 / Math.sqrt(size));
  const signs = randomKey(example.seed, 'signs');
  for (let draw = 0; draw < DRAWS; draw++) {
    const where: Site = { ...site, seed: site.seed + 7919 * (draw + 1) };
    const reduced = projector.reducedShape(where, refreshIndex);
    if (reduced === null || sizeOf(reduced) === 0) continue;
    kept += sizeOf(reduced) / size;
    const s = Float32Array.from({ length: size }, (_, i) => (randomUniform(signs, draw * size + i) < 0.5 ? -1 : 1));
    const [projected, leaning] = await through(
      projector,
      { site: where, refreshIndex },
      coordinate ? [s] : [s, uniform],
    );
    if (leaning !== undefined) along += dot(leaning, uniform) / DRAWS;
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) sums[i * size + j]! += projected![i]! * s[j]!;
  }
  const density = kept / DRAWS;
  const exponent = Math.log((2 * (size * size + 1)) / FALSE_ALARM) / DRAWS;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const mean = sums[i * size + j]! / DRAWS;
      const expected = i === j ? density : 0;
      const allowed = Math.sqrt((i !== j ? 2.5 : coordinate ? 0.5 : 1) * exponent);
      require(Math.abs(mean - expected) <= allowed, () =>
        `over ${DRAWS} seeds E[Π] at (${i}, ${j}) is ${show(mean)}, expected ${show(expected)} ± ${show(allowed)} (false alarms below ${FALSE_ALARM})`);
    }
  }
  const allowed = Math.sqrt(0.5 * exponent);
  require(coordinate || Math.abs(along - density) <= allowed, () =>
    `over ${DRAWS} seeds E‖Πu‖² with u = (1, …, 1)/√${size} is ${show(along)}, expected ${show(density)} ± ${show(allowed)} (false alarms below ${FALSE_ALARM})`);
}

/** Π of each, in the subspace of a seed. */
async function through(
  projector: Projector,
  context: FitContext,
  inputs: readonly Float32Array[],
): Promise<Float32Array[]> {
  const { site } = context;
  const projected = tidy(() => {
    const basis = projector.fit(null, null, context);
    return inputs.map(x => projectOnto({ projector, basis, site }, tensor(x, [...site.shape], 'float32')));
  });
  const values = await Promise.all(projected.map(async x => (await numbers(x)).slice() as Float32Array));
  dispose(projected);
  return values;
}
