import { matrixView, randomKey, randomNormals, randomPermutation, type Shape, sizeOf } from '@frugaljs/core';
import fc from 'fast-check';
import { matrixValues } from '../arbitraries/gradients.js';
import { objective, objectiveRecipes } from '../arbitraries/objectives.js';
import { EPSILON32, type Law, law, require, requireAtMost, requireClose, requireSame, show } from '../law.js';
import { axpy, dot, maxAbs, norm, scaled, singularValues } from '../numerics.js';
import {
  CLOSE,
  directionsOf,
  prepared,
  type RuleFixture,
  RuleRun,
  ruleExamples,
  SMALLEST,
  unlessClaimed,
} from './fixture.js';

/** Relative changes of gradients within which a direction must be the same for the recursion to know it. */
const DOUBT = 2 ** -16;

const STEPS = 20;

/** Laws of the values a rule returns: entry by entry, then of a direction as a whole, then of how it lowers a function. */
export const RULE_VALUE_LAWS: readonly Law<RuleFixture>[] = [
  law({
    name: 'zero stays zero',
    formula: 'G = 0 from the start ⟹ d = 0',
    why: 'sign(0) must be 0: rows of unused embeddings and padding would otherwise take full steps.',
    needs: ['state as declared'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape } = prepared(fixture, example);
      const zeros = new Float32Array(sizeOf(shape));
      (await directionsOf(rule, shape, [zeros, zeros])).forEach((d, t) => {
        requireSame(`direction ${t + 1} of a zero gradient`, d, zeros);
      });
    },
  }),
  law({
    name: 'untouched state does not drift',
    formula:
      'Gᵢ = 0 in every step ⟹ element-wise slots at i keep their initial value, and dᵢ = 0 unless entries are mixed',
    why: 'State of coordinates that are never used must not move them when they are used at last.',
    needs: ['state as declared'],
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      fc.pre(sizeOf(shape) > 1);
      const run = new RuleRun(rule, shape);
      for (const g of stream) {
        const { direction, slots } = await run.step(g.map((x, i) => (i === 1 ? 0 : x)));
        for (const [name, { extent, initial = 0 }] of Object.entries(run.specs)) {
          if (extent !== 'element') continue;
          // Rules may add a floor such as 1e-30 to squares.
          requireClose(`slot ${name} of an entry without gradient`, [slots[name]![1]!], [initial], 1e-25);
        }
        if (!fixture.claims.mixesEntries) {
          requireSame('the direction of an entry without gradient', [direction[1]!], [0]);
        }
      }
    },
  }),
  law({
    name: 'odd',
    formula: 'd(-G) = -d(G)',
    why: 'A rule that prefers a sign drifts; reductions to signSGD and SGD would fail.',
    needs: ['deterministic', 'any finite gradient'],
    notApplicable: ({ claims }) => (claims.odd === false ? 'not with the claim odd: false' : null),
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const mirrored = await directionsOf(
        rule,
        shape,
        stream.map(g => g.map(x => -x)),
      );
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        requireSame(`-d(-G) at step ${t + 1}`, scaled(mirrored[t]!, -1), d);
      });
    },
  }),
  law({
    name: 'permutation equivariance',
    formula: 'permuting rows and columns (or rows alone, or entries) of every G permutes d',
    why: 'The order of neurons is arbitrary; an index that is off shows here.',
    needs: ['deterministic', 'any finite gradient'],
    notApplicable: ({ claims }) => (claims.permutations === 'none' ? 'not with the claim permutations: none' : null),
    example: fixture => fc.tuple(ruleExamples(fixture), fc.nat({ max: 999 })).map(([e, seed]) => ({ ...e, seed })),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const order =
        fixture.claims.permutations === 'entries'
          ? randomPermutation(randomKey(example.seed), sizeOf(shape))
          : rowAndColumnOrder(shape, example.seed, fixture.claims.permutations !== 'rows');
      const permute = (x: Float32Array): Float32Array => Float32Array.from(order, i => x[i]!);
      const permuted = await directionsOf(rule, shape, stream.map(permute));
      // A matrix rule may step far where columns are almost parallel; only its size is known then.
      const allowed = fixture.claims.mixesEntries ? 1e-2 : CLOSE;
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        requireClose(`d of permuted G at step ${t + 1}`, permuted[t]!, permute(d), allowed * maxAbs(d));
      });
    },
  }),
  law({
    name: 'first step goes downhill',
    formula: '‹d₁, g› ≥ 0, as the parameter moves by -η d',
    why: 'A direction with the wrong sign climbs: an optimizer subtracts directions.',
    needs: ['any finite gradient'],
    example: fixture => ruleExamples(fixture, 1),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const [g] = stream as [Float32Array];
      const d = (await directionsOf(rule, shape, [g]))[0]!;
      const product = dot(d, g);
      require(product >= -CLOSE * norm(d) * norm(g), () => `‹d₁, g› is ${show(product)}, at least 0 expected`);
    },
  }),
  law({
    name: 'first step',
    formula: 'd₁ is the claimed function of g, also for g near ε',
    why: 'It shows bias correction, initial state and the place of ε at once; after every reset it is taken again.',
    needs: ['state as declared'],
    notApplicable: unlessClaimed('firstStep'),
    example: fixture =>
      fc.tuple(ruleExamples(fixture, 1), fc.constantFrom(0, -27, -13, 10)).map(([e, by]) => ({ ...e, by })),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const scale = 2 ** example.by;
      const g = stream[0]!.map(x => (Math.abs(x * scale) < SMALLEST ? 0 : x * scale));
      const [d] = await directionsOf(rule, shape, [g]);
      g.forEach((x, i) => {
        const expected = fixture.claims.firstStep!(x, example.options);
        const what = `the first direction for g = ${show(x)} with ${JSON.stringify(example.options)}`;
        requireClose(what, [d![i]!], [expected], CLOSE * Math.abs(expected) + 1e-30);
      });
    },
  }),
  law({
    name: 'scale invariance',
    formula: 'd(cG) = d(G) for c > 0 in every step',
    why: 'Such a rule needs no clipping and no loss scaling; an ε in the wrong place breaks it.',
    needs: ['deterministic', 'any finite gradient'],
    notApplicable: unlessClaimed('scaleInvariant'),
    example: fixture => fc.tuple(ruleExamples(fixture), fc.constantFrom(-8, 1, 8)).map(([e, by]) => ({ ...e, by })),
    check: async (fixture: RuleFixture, example) => {
      fc.pre(fixture.claims.scaleInvariant!(example.options));
      const { rule, shape, stream } = prepared(fixture, example);
      const other = await directionsOf(
        rule,
        shape,
        stream.map(g => g.map(x => x * 2 ** example.by)),
      );
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        requireClose(`d(cG), c = 2^${example.by}, at step ${t + 1}`, other[t]!, d, CLOSE * maxAbs(d));
      });
    },
  }),
  law({
    name: 'step bound',
    formula: '|dᵢ| ≤ bound(t), whatever the gradients',
    why: 'The learning rate then bounds how far a weight can move; a wrong bias correction breaks the bound.',
    needs: ['deterministic', 'any finite gradient'],
    notApplicable: unlessClaimed('bound'),
    example: fixture => ruleExamples(fixture, 12),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        const bound = fixture.claims.bound!(t + 1, example.options);
        requireAtMost(`the largest |dᵢ| at step ${t + 1}`, maxAbs(d), bound, CLOSE * bound);
      });
    },
  }),
  law({
    name: 'only these values',
    formula: 'every dᵢ is one of the claimed values, such as -1, 0, 1',
    why: 'Sign-based rules promise steps of one size.',
    needs: ['state as declared'],
    notApplicable: unlessClaimed('values'),
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const values = fixture.claims.values!;
      for (const d of await directionsOf(rule, shape, stream)) {
        const at = d.findIndex(x => !values.includes(x));
        require(at < 0, () => `entry ${at} of the direction is ${show(d[at]!)}, none of ${values.join(', ')}`);
      }
    },
  }),
  law({
    name: 'the recursion',
    formula: 'in every step d is that of the rule written down in plain numbers, entry by entry',
    why: 'The published formula is the definition; order of updates and every coefficient are checked against it.',
    needs: ['state as declared'],
    notApplicable: unlessClaimed('recursion'),
    example: fixture => ruleExamples(fixture, 8),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const { initial, step } = fixture.claims.recursion!(example.options);
      const start = Array.from({ length: sizeOf(shape) }, () => initial);
      const [states, above, below] = [[...start], [...start], [...start]];
      const largest = new Float64Array(sizeOf(shape));
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        d.forEach((found, i) => {
          const g = stream[t]![i]!;
          const follow = (path: (readonly number[])[], by: number): number => {
            const { direction, state } = step(g + by * Math.abs(g), path[i]!, t + 1);
            path[i] = state;
            return direction;
          };
          const expected = follow(states, 0);
          largest[i] = Math.max(largest[i]!, Math.abs(expected), Math.abs(g));
          // Where terms cancel, the error is that of the terms: the sign of such a sum may be either.
          const [most, least] = [follow(above, DOUBT), follow(below, -DOUBT)];
          if (fixture.claims.values !== undefined && most !== least) return;
          const slack = CLOSE * (fixture.claims.bound || fixture.claims.values ? 1 : largest[i]!);
          requireClose(`d at step ${t + 1} for g = ${show(g)}`, [found], [expected], slack);
        });
      });
    },
  }),
  law({
    name: 'norm of the direction',
    formula: '‖d‖ is the claimed norm, or at most that',
    why: 'Normalizing rules promise how far one step goes.',
    needs: ['state as declared'],
    notApplicable: unlessClaimed('norm'),
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const { of, exact } = fixture.claims.norm!;
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
    notApplicable: unlessClaimed('spectralNorm'),
    example: ruleExamples,
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape, stream } = prepared(fixture, example);
      const bound = fixture.claims.spectralNorm!(shape, example.options);
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
    notApplicable: unlessClaimed('rankOneExact'),
    example: fixture => fc.tuple(ruleExamples(fixture), fc.nat({ max: 999 })).map(([e, seed]) => ({ ...e, seed })),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape } = prepared(fixture, example);
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
  // f(x - αd) ≤ f(x) - α‹g, d› + (Lα²/2)‖d‖² with d = g and with d = sign g. See Bernstein et al., signSGD, arXiv 1802.04434,
  // Theorem 1, whose proof begins like this with an L per coordinate.
  law({
    name: 'descent',
    formula:
      'SGD: f(x - αg) ≤ f(x) - α(1 - αL/2)‖g‖²; signSGD: f(x - α sign g) ≤ f(x) - α‖g‖₁ + (Lα²/2) nnz(g); and the rates that follow',
    why: 'A direction that is scaled or has a wrong sign somewhere lowers the loss by less than it must.',
    notApplicable: unlessClaimed('descent'),
    example: fixture =>
      fc.record({
        shape: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })) as fc.Arbitrary<Shape>,
        options: fixture.options,
        objective: objectiveRecipes(),
        step: fc.constantFrom(1, 0.1, 0.5, 1.5, 1.95),
      }),
    check: async (fixture: RuleFixture, { shape, options, objective: recipe, step }) => {
      const rule = fixture.create(options);
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
          fixture.claims.descent === 'gradient'
            ? [alpha * (1 - (alpha * L) / 2) * dot(g, g), dot(g, g)]
            : [alpha * l1 - ((L * alpha ** 2) / 2) * nonZero, l1];
        gained += measure;
        const slack = 64 * EPSILON32 * (alpha * l1 + alpha * dot(g, g)) + 1e-12;
        require(after <= before - decrease + slack, () =>
          `step ${k}, αL = ${step}: f goes from ${show(before)} to ${show(after)}, at most ${show(before - decrease)} expected`);
        x = next;
      }
      const rate =
        fixture.claims.descent === 'gradient'
          ? f0 / (alpha * (1 - (alpha * L) / 2))
          : f0 / alpha + (STEPS * alpha * L * x.length) / 2;
      require(gained <= rate * (1 + 1e-5) + 1e-9, () =>
        `gradients sum to ${show(gained)}, at most ${show(rate)} expected`);
    },
  }),
];

/** Positions in the order in which permuted rows and, if asked for, columns list them. */
function rowAndColumnOrder(shape: Shape, seed: number, withColumns: boolean): Int32Array {
  const [m, n] = matrixView(shape);
  const rows = randomPermutation(randomKey(seed, 'rows'), m);
  const columns = withColumns
    ? randomPermutation(randomKey(seed, 'columns'), n)
    : Int32Array.from({ length: n }, (_, i) => i);
  return Int32Array.from({ length: m * n }, (_, i) => rows[Math.floor(i / n)]! * n + columns[i % n]!);
}
