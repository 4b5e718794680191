import { type Shape, sizeOf } from '@frugaljs/core';
import fc from 'fast-check';
import { objective, objectiveRecipes } from '../arbitraries/objectives.js';
import { type Law, law, require } from '../law.js';
import { EPSILON32, show } from '../numerics/closeness.js';
import { axpy, dot } from '../numerics/vectors.js';
import { directionsOf } from './rule-run.js';
import type { RuleSubject } from './subject.js';

const STEPS = 20;

/**
 * Laws of how a rule lowers a smooth function: f(x - αd) ≤ f(x) - α‹g, d› + (Lα²/2)‖d‖² with d = g and with d = sign g.
 *
 * @see Bernstein et al., signSGD, arXiv 1802.04434, Theorem 1, whose proof begins like this with an L per coordinate.
 */
export const RULE_DESCENT_LAWS: readonly Law<RuleSubject>[] = [
  law({
    name: 'descent',
    formula:
      'SGD: f(x - αg) ≤ f(x) - α(1 - αL/2)‖g‖²; signSGD: f(x - α sign g) ≤ f(x) - α‖g‖₁ + (Lα²/2) nnz(g); and the rates that follow',
    why: 'A direction that is scaled or has a wrong sign somewhere lowers the loss by less than it must.',
    lifted: ({ claims }) => (claims.descent === undefined ? 'no claim descent' : null),
    example: subject =>
      fc.record({
        shape: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })) as fc.Arbitrary<Shape>,
        options: subject.options,
        objective: objectiveRecipes(),
        step: fc.constantFrom(1, 0.1, 0.5, 1.5, 1.95),
      }),
    check: async (subject: RuleSubject, { shape, options, objective: recipe, step }) => {
      const rule = subject.create(options);
      const f = objective(recipe, sizeOf(shape));
      const L = f.smoothness;
      const alpha = step / L;
      let x: Float64Array = f.start;
      let gained = 0;
      const f0 = f.value(x);
      for (let k = 0; k < STEPS; k++) {
        const g = Float32Array.from(f.gradient(x));
        const d = (await directionsOf(rule, shape, [g]))[0]!;
        const next = axpy(x, -alpha, d);
        const [before, after] = [f.value(x), f.value(next)];
        const l1 = g.reduce((sum, y) => sum + Math.abs(y), 0);
        const nonZero = g.filter(y => y !== 0).length;
        const [decrease, measure] =
          subject.claims.descent === 'gradient'
            ? [alpha * (1 - (alpha * L) / 2) * dot(g, g), dot(g, g)]
            : [alpha * l1 - ((L * alpha ** 2) / 2) * nonZero, l1];
        gained += measure;
        const slack = 64 * EPSILON32 * (alpha * l1 + alpha * dot(g, g)) + 1e-12;
        require(after <= before - decrease + slack, () =>
          `step ${k}, αL = ${step}: f goes from ${show(before)} to ${show(after)}, at most ${show(before - decrease)} expected`);
        x = next;
      }
      const rate =
        subject.claims.descent === 'gradient'
          ? f0 / (alpha * (1 - (alpha * L) / 2))
          : f0 / alpha + (STEPS * alpha * L * x.length) / 2;
      require(gained <= rate * (1 + 1e-5) + 1e-9, () =>
        `gradients sum to ${show(gained)}, at most ${show(rate)} expected`);
    },
  }),
];
