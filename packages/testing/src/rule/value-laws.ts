import { matrixView, randomKey, randomPermutation, type Shape, sizeOf } from '@frugaljs/core';
import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { EPSILON32, requireAtMost, requireClose, requireSame, show } from '../numerics/closeness.js';
import { dot, maxAbs, norm, scaled } from '../numerics/vectors.js';
import { directionsOf, RuleRun } from './rule-run.js';
import { prepared, type RuleSubject, ruleExamples, SMALLEST } from './subject.js';

/** A few roundings, relative to the numbers compared. */
export const CLOSE: number = 64 * EPSILON32;

/** Relative changes of gradients within which a direction must be the same for the recursion to know it. */
const DOUBT = 2 ** -16;

export const unlessClaimed =
  (claim: keyof RuleSubject['claims']) =>
  ({ claims }: RuleSubject): string | null =>
    claims[claim] === undefined ? `no claim ${claim}` : null;

/** Laws of the values a rule returns. */
export const RULE_VALUE_LAWS: readonly Law<RuleSubject>[] = [
  law({
    name: 'zero stays zero',
    formula: 'G = 0 from the start ⟹ d = 0',
    why: 'sign(0) must be 0: rows of unused embeddings and padding would otherwise take full steps.',
    needs: ['state as declared'],
    example: ruleExamples,
    check: async (subject: RuleSubject, example) => {
      const { rule, shape } = prepared(subject, example);
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
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      fc.pre(sizeOf(shape) > 1);
      const run = new RuleRun(rule, shape);
      for (const g of stream) {
        const { direction, slots } = await run.step(g.map((x, i) => (i === 1 ? 0 : x)));
        for (const [name, { extent, initial = 0 }] of Object.entries(run.specs)) {
          if (extent !== 'element') continue;
          // Rules may add a floor such as 1e-30 to squares.
          requireClose(`slot ${name} of an entry without gradient`, [slots[name]![1]!], [initial], 1e-25);
        }
        if (!subject.claims.mixesEntries) {
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
    lifted: ({ claims }) => (claims.odd === false ? 'lifted by the claim odd: false' : null),
    example: ruleExamples,
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
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
    formula: 'permuting rows and columns (or entries) of every G permutes d',
    why: 'The order of neurons is arbitrary; an index that is off shows here.',
    needs: ['deterministic', 'any finite gradient'],
    lifted: ({ claims }) => (claims.permutations === 'none' ? 'lifted by the claim permutations: none' : null),
    example: subject => fc.tuple(ruleExamples(subject), fc.nat({ max: 999 })).map(([e, seed]) => ({ ...e, seed })),
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      const order =
        subject.claims.permutations === 'entries'
          ? randomPermutation(randomKey(example.seed), sizeOf(shape))
          : rowAndColumnOrder(shape, example.seed);
      const permute = (x: Float32Array): Float32Array => Float32Array.from(order, i => x[i]!);
      const permuted = await directionsOf(rule, shape, stream.map(permute));
      // A matrix rule may step far where columns are almost parallel; only its size is known then.
      const allowed = subject.claims.mixesEntries ? 1e-2 : CLOSE;
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
    example: subject => ruleExamples(subject, 1),
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
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
    lifted: unlessClaimed('firstStep'),
    example: subject =>
      fc.tuple(ruleExamples(subject, 1), fc.constantFrom(0, -27, -13, 10)).map(([e, by]) => ({ ...e, by })),
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      const scale = 2 ** example.by;
      const g = stream[0]!.map(x => (Math.abs(x * scale) < SMALLEST ? 0 : x * scale));
      const [d] = await directionsOf(rule, shape, [g]);
      g.forEach((x, i) => {
        const expected = subject.claims.firstStep!(x, example.options);
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
    lifted: unlessClaimed('scaleInvariant'),
    example: subject => fc.tuple(ruleExamples(subject), fc.constantFrom(-8, 1, 8)).map(([e, by]) => ({ ...e, by })),
    check: async (subject: RuleSubject, example) => {
      fc.pre(subject.claims.scaleInvariant!(example.options));
      const { rule, shape, stream } = prepared(subject, example);
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
    lifted: unlessClaimed('bound'),
    example: subject => ruleExamples(subject, 12),
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      (await directionsOf(rule, shape, stream)).forEach((d, t) => {
        const bound = subject.claims.bound!(t + 1, example.options);
        requireAtMost(`the largest |dᵢ| at step ${t + 1}`, maxAbs(d), bound, CLOSE * bound);
      });
    },
  }),
  law({
    name: 'only these values',
    formula: 'every dᵢ is one of the claimed values, such as -1, 0, 1',
    why: 'Sign-based rules promise steps of one size.',
    needs: ['state as declared'],
    lifted: unlessClaimed('values'),
    example: ruleExamples,
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      const values = subject.claims.values!;
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
    lifted: unlessClaimed('recursion'),
    example: subject => ruleExamples(subject, 8),
    check: async (subject: RuleSubject, example) => {
      const { rule, shape, stream } = prepared(subject, example);
      const { initial, step } = subject.claims.recursion!(example.options);
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
          if (subject.claims.values !== undefined && most !== least) return;
          const slack = CLOSE * (subject.claims.bound || subject.claims.values ? 1 : largest[i]!);
          requireClose(`d at step ${t + 1} for g = ${show(g)}`, [found], [expected], slack);
        });
      });
    },
  }),
];

/** Positions in the order in which permuted rows and columns list them. */
function rowAndColumnOrder(shape: Shape, seed: number): Int32Array {
  const [m, n] = matrixView(shape);
  const rows = randomPermutation(randomKey(seed, 'rows'), m);
  const columns = randomPermutation(randomKey(seed, 'columns'), n);
  return Int32Array.from({ length: m * n }, (_, i) => rows[Math.floor(i / n)]! * n + columns[i % n]!);
}
