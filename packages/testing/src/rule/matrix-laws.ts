import { matrixView, randomKey, randomNormals } from '@frugaljs/core';
import fc from 'fast-check';
import { matrixValues } from '../arbitraries/matrices.js';
import { type Law, law } from '../law.js';
import { requireAtMost, requireClose } from '../numerics/closeness.js';
import { singularValues } from '../numerics/singular-values.js';
import { maxAbs, norm } from '../numerics/vectors.js';
import { directionsOf } from './rule-run.js';
import { prepared, type RuleSubject, ruleExamples } from './subject.js';
import { CLOSE, unlessClaimed } from './value-laws.js';

/** Laws of rules that look at a gradient as a whole. */
export const RULE_MATRIX_LAWS: readonly Law<RuleSubject>[] = [
  law({
    name: 'norm of the direction',
    formula: '‖d‖ is the claimed norm, or at most that',
    why: 'Normalizing rules promise how far one step goes.',
    needs: ['state as declared'],
    lifted: unlessClaimed('norm'),
    example: ruleExamples,
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      const { of, exact } = subject.claims.norm!;
      const expected = of(shape, example.options);
      for (const [t, g] of stream.entries()) {
        const size = norm((await directionsOf(rule, shape, [g]))[0]!);
        if (exact && g.every(x => x !== 0)) requireClose(`‖d‖ at step ${t + 1}`, [size], [expected], CLOSE * expected);
        else requireAtMost(`‖d‖ at step ${t + 1}`, size, expected, CLOSE * expected);
      }
    },
  }),
  law({
    name: 'spectral norm of the direction',
    formula: 'the largest singular value of d is at most the claimed one',
    why: 'Orthogonalizing rules promise it; wrong iteration coefficients break it.',
    needs: ['state as declared'],
    lifted: unlessClaimed('spectralNorm'),
    example: ruleExamples,
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      const bound = subject.claims.spectralNorm!(shape, example.options);
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        const largest = singularValues(d, ...matrixView(shape))[0] ?? 0;
        requireAtMost(`‖d‖₂ at step ${t + 1}`, largest, bound, CLOSE * bound);
      });
    },
  }),
  law({
    name: 'exact for rank one',
    formula: '|G| = c uvᵀ ⟹ a factored second moment is the full one: the matrix steps like the vector of its entries',
    why: 'R Cᵀ / mean(R) reconstructs a rank-one V exactly; a mean over the wrong axis does not.',
    needs: ['state as declared'],
    lifted: unlessClaimed('rankOneExact'),
    example: subject => fc.tuple(ruleExamples(subject), fc.nat({ max: 999 })).map(([e, seed]) => ({ ...e, seed })),
    check: async (subject: RuleSubject, example) => {
      const { rule, shape } = prepared(subject, example);
      fc.pre(shape.length === 2);
      const [m, n] = shape as [number, number];
      const u = randomNormals(randomKey(example.seed, 'u'), m);
      const v = randomNormals(randomKey(example.seed, 'v'), n);
      const stream = example.gradients.map((recipe, t) => {
        const signs = matrixValues(shape, { kind: 'normal', exponent: 0, seed: recipe.seed + t });
        return signs.map((x, i) => (t + 1) * Math.sign(x) * Math.abs(u[Math.floor(i / n)]! * v[i % n]!));
      });
      const asVector = await directionsOf(rule, [m * n], stream);
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        requireClose(`d of the matrix at step ${t + 1}`, d, asVector[t]!, 4 * CLOSE * maxAbs(asVector[t]!));
      });
    },
  }),
];
