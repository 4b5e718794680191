import { matrixView, randomKey, randomPermutation, randomUniform, type Shape, sizeOf } from '@frugaljs/core';
import fc from 'fast-check';
import { type Law, law, require, requireClose, requireFinite, survivesJson } from '../law.js';
import { maxAbs, scaled } from '../numerics.js';
import {
  CLOSE,
  type CombineExample,
  type CombineFixture,
  combineExamples,
  normals,
  runOf,
  type Within,
} from './fixture.js';

const measuresNothing = ({ sample }: CombineFixture): string | null =>
  sample.measure === undefined ? 'measures nothing' : null;

/**
 * Laws of what a combine declares and measures. A combine is symbolic, so it can neither change its inputs nor leak; there
 * are no laws for that.
 */
export const COMBINE_STRUCTURE_LAWS: readonly Law<CombineFixture>[] = [
  law({
    name: 'state as declared',
    formula: 'apply returns a direction and the next value of every slot of state(), all finite',
    why: 'Memory is planned and checkpoints are read by this declaration.',
    example: combineExamples,
    check: async (fixture: CombineFixture, example) => {
      const { shape, seed } = example;
      const run = runOf(fixture, example);
      for (let t = 0; t < 3; t++) {
        const g = normals(shape, seed, `g${t}`);
        const lifted = normals(shape, seed, `lifted${t}`);
        const direction = await run.apply({ g, lifted, residual: g, residualDirection: g.map(Math.sign) });
        requireFinite(`the direction of step ${t + 1}`, direction);
      }
    },
  }),
  law({
    name: 'described by its options',
    formula: 'options survive JSON, name the rule of the residual, and make an equal combine',
    why: 'Configuration files and checkpoints hold nothing else.',
    example: combineExamples,
    check: async (fixture: CombineFixture, { options }) => {
      const combine = fixture.create(options);
      const text = JSON.stringify(combine.options);
      require(survivesJson(combine.options), () => `options do not survive JSON, which makes them ${text}`);
      const again = fixture.create(options);
      require(JSON.stringify(again.options) === text, () =>
        `made twice, the options are ${text} and ${JSON.stringify(again.options)}`);
      require(combine.rule === null || text.includes(`"${combine.rule.kind}"`), () =>
        `the options ${text} do not name the rule of the residual, ${combine.rule!.kind}`);
    },
  }),
  law({
    name: 'measures as declared',
    formula:
      'measure gives one number in all or one for each row or column that is kept, finite for every low gradient',
    why: 'A ratio of two norms is 0 / 0 where a row has no gradient; one NaN ends the run.',
    needs: ['state as declared'],
    notApplicable: measuresNothing,
    example: measureExamples,
    check: async (fixture: CombineFixture, example) => {
      const run = runOf(fixture, example);
      const within = drawnWithin(example);
      for (const [of, by] of [
        [0, 0],
        [1, 1],
        [0, 1],
        [1, 0],
        [2 ** 40, 2 ** -40],
        [2 ** -40, 2 ** 40],
      ] as const) {
        const sized = {
          ...within,
          low: within.low.map(x => x * of),
          lowDirection: within.lowDirection.map(x => x * by),
        };
        for (const [name, { of: shape, values }] of Object.entries(await run.measured(sized))) {
          require(values.length === sizeOf(shape), () => `${name} has ${values.length} numbers, of [${shape}]`);
          requireFinite(`${name} for a gradient times ${of} and a direction times ${by}`, values);
        }
      }
    },
  }),
  law({
    name: 'measures see no basis',
    formula:
      'signs and order of what is projected change no measure; the order of what is kept is that of the measures',
    why: 'Singular vectors are known up to sign and order only; a run must not depend on them.',
    needs: ['measures as declared'],
    notApplicable: measuresNothing,
    example: measureExamples,
    check: async (fixture: CombineFixture, example) => {
      const { per, seed } = example;
      const within = drawnWithin(example);
      const [rows, columns] = matrixView(within.shape);
      const order = (count: number, label: string): Int32Array => randomPermutation(randomKey(seed, label), count);
      const [rowOrder, columnOrder] = [order(rows, 'rows'), order(columns, 'columns')];
      const coin = randomKey(seed, 'signs');
      const sign = (i: number): number => (randomUniform(coin, i) < 0.5 ? -1 : 1);
      const turned = (x: Float32Array): Float32Array =>
        x.map((_, i) => {
          const [row, column] = [Math.floor(i / columns), i % columns];
          const from = rowOrder[row]! * columns + columnOrder[column]!;
          // Signs go with the axis that is projected.
          return x[from]! * sign(per === 'row' ? column : per === 'column' ? row : i);
        });
      const run = runOf(fixture, example);
      const straight = await run.measured(within);
      const other = await run.measured({
        ...within,
        low: turned(within.low),
        lowDirection: turned(within.lowDirection),
      });
      for (const [name, { of, values }] of Object.entries(straight)) {
        const kept = sizeOf(of) === 1 ? [0] : per === 'row' ? rowOrder : columnOrder;
        const expected = Float32Array.from(kept, i => values[i]!);
        requireClose(`${name} in another basis`, other[name]!.values, expected, CLOSE * maxAbs(values));
      }
    },
  }),
  law({
    name: 'measures follow sizes',
    formula: 'measure(c R, c N) = c^degree measure(R, N) for c > 0; a ratio has degree 0',
    why: 'Clipping and loss scaling must not change by how much a gradient is scaled.',
    needs: ['measures as declared'],
    notApplicable: fixture =>
      measuresNothing(fixture) ?? (fixture.claims.measureDegree === undefined ? 'no claim measureDegree' : null),
    example: measureExamples,
    check: async (fixture: CombineFixture, example) => {
      const drawn = drawnWithin(example);
      // A floor of 1e-8 under a norm of at least 1 counts for little.
      const within = { ...drawn, low: drawn.low.map(x => (x < 0 ? x - 1 : x + 1)) };
      const run = runOf(fixture, example);
      const straight = await run.measured(within);
      for (const c of [2, 2 ** 10, 2 ** -5]) {
        const times = (x: Float32Array): Float32Array => x.map(y => y * c);
        const found = await run.measured({
          ...within,
          low: times(within.low),
          lowDirection: times(within.lowDirection),
        });
        for (const [name, { values }] of Object.entries(straight)) {
          const expected = scaled(values, c ** fixture.claims.measureDegree!);
          requireClose(`${name} of both times ${c}`, found[name]!.values, expected, 1e-5 * maxAbs(expected));
        }
      }
    },
  }),
];

interface MeasureExample extends CombineExample {
  /** How many directions are kept of the axis that is projected. */
  readonly rank: number;
}

function measureExamples(fixture: CombineFixture): fc.Arbitrary<MeasureExample> {
  return fc.tuple(combineExamples(fixture), fc.integer({ min: 1, max: 6 })).map(([e, rank]) => ({ ...e, rank }));
}

/** Normal numbers in a subspace that keeps the axis of the example. */
function drawnWithin({ shape, per, rank, seed }: MeasureExample): Within {
  const [rows, columns] = matrixView(shape);
  const low: Shape = per === 'row' ? [rows, rank] : per === 'column' ? [rank, columns] : [rank];
  return { shape: low, low: normals(low, seed, 'low'), lowDirection: normals(low, seed, 'lowDirection') };
}
