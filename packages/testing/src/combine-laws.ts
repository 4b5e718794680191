import {
  type Combine,
  interpret,
  matrixView,
  randomKey,
  randomNormals,
  randomUniform,
  type Shape,
  sizeOf,
  slotShape,
  traceCombine,
} from '@frugaljs/core';
import { matMul, sub, type Tensor2D, tensor, tensor2d, transpose } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type Parameters, shapes } from './arbitraries/gradients.js';
import {
  EPSILON32,
  type Law,
  law,
  require,
  requireAtMost,
  requireClose,
  requireFinite,
  requireSame,
  survivesJson,
} from './law.js';
import { farthest, maxAbs, orthonormalRows, scaled } from './numerics.js';
import { copiesOf, free, initialSlots, RuleRun } from './rule/fixture.js';
import { type RunOptions, requireKnownClaims, requireMade } from './run.js';

/** What a factory of combines promises. */
export interface CombineClaims<Options> {
  /** Parameters it works on. Default `any`. */
  readonly parameters?: Parameters;
  /** Options to draw. Default: `{}` only. */
  readonly options?: Arbitrary<Options>;
  /** The direction is lifted + scale · (direction of the residual's rule). 0 for a combine that drops the residual. */
  readonly scale?: (options: Options) => number;
  /** The residual changes the direction also where only the subspace has entries. Default false. */
  readonly mixesParts?: boolean;
  /** apply(-inputs) = -apply(inputs). Default true. */
  readonly odd?: boolean;
}

export interface CombineLawOptions<Options> extends CombineClaims<Options>, RunOptions {
  /** How reports call it. Default: the kind. */
  readonly name?: string;
}

export type CombineFactory<Options> = (options: Options) => Combine;

/** A factory of combines under test. */
export interface CombineFixture {
  readonly create: (options: unknown) => Combine;
  readonly claims: CombineClaims<unknown>;
  readonly options: Arbitrary<unknown>;
  readonly kind: string;
  /** The first combine drawn. */
  readonly sample: Combine;
}

export function combineFixture<Options>(
  factory: CombineFactory<Options>,
  claims: CombineClaims<Options> = {},
): CombineFixture {
  requireKnownClaims('checkCombine', claims, ['parameters', 'options', 'scale', 'mixesParts', 'odd']);
  const options = (claims.options ?? fc.constant({})) as Arbitrary<unknown>;
  const create = factory as (options: unknown) => Combine;
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  const sample = requireMade('a combine', create(drawn), ['kind', 'options', 'state', 'apply']);
  return { create, claims: claims as CombineClaims<unknown>, options, kind: sample.kind, sample };
}

interface CombineExample {
  readonly shape: Shape;
  readonly options: unknown;
  readonly seed: number;
}

function combineExamples({ claims, options }: CombineFixture): Arbitrary<CombineExample> {
  return fc.record({
    shape: shapes({ parameters: claims.parameters ?? 'any', largest: 6 }),
    options,
    seed: fc.nat({ max: 9999 }),
  });
}

const CLOSE = 32 * EPSILON32;

const normals = (shape: Shape, seed: number, label: string): Float32Array =>
  randomNormals(randomKey(seed, label), sizeOf(shape));

/**
 * Every law of combines, in the order in which they are tried. A combine is symbolic, so it can neither change its inputs
 * nor leak; there are no laws for that.
 */
export const COMBINE_LAWS: readonly Law<CombineFixture>[] = [
  law({
    name: 'state as declared',
    formula: 'apply returns a direction and the next value of every slot of state(), all finite',
    why: 'Memory is planned and checkpoints are read by this declaration.',
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options, seed }) => {
      const run = new CombineRun(fixture.create(options), shape);
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
    name: 'nothing in, nothing out',
    formula: 'apply(0) = 0',
    why: 'A parameter without a gradient must not move.',
    needs: ['state as declared'],
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options }) => {
      const zero = new Float32Array(sizeOf(shape));
      const run = new CombineRun(fixture.create(options), shape);
      for (let t = 0; t < 2; t++) {
        const direction = await run.apply({ g: zero, lifted: zero, residual: zero, residualDirection: zero });
        requireSame('the direction', direction, zero);
      }
    },
  }),
  law({
    name: 'a complete subspace is the rule',
    formula: 'residual = 0 ⟹ direction = up(d)',
    why: 'With density 1 a hybrid must be its state-full rule.',
    needs: ['state as declared'],
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options, seed }) => {
      const zero = new Float32Array(sizeOf(shape));
      const run = new CombineRun(fixture.create(options), shape);
      for (let t = 0; t < 2; t++) {
        const lifted = normals(shape, seed, `lifted${t}`);
        const direction = await run.apply({
          g: normals(shape, seed, `g${t}`),
          lifted,
          residual: zero,
          residualDirection: zero,
        });
        requireSame('the direction', direction, lifted);
      }
    },
  }),
  law({
    name: 'an empty subspace is the rule of the residual',
    formula: 'up(d) = 0 ⟹ direction = scale · (direction of the residual’s rule)',
    why: 'With density 0 a hybrid must be its state-free rule, at the scaled rate.',
    needs: ['state as declared'],
    notApplicable: ({ claims }) => (claims.scale === undefined ? 'no claim scale' : null),
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options, seed }) => {
      const zero = new Float32Array(sizeOf(shape));
      const g = normals(shape, seed, 'g');
      const found = normals(shape, seed, 'direction');
      const run = new CombineRun(fixture.create(options), shape);
      const direction = await run.apply({ g, lifted: zero, residual: g, residualDirection: found });
      const expected = scaled(found, fixture.claims.scale!(options));
      requireClose('the direction', direction, expected, CLOSE * maxAbs(expected));
    },
  }),
  law({
    name: 'parts do not mix',
    formula: 'where only the subspace has entries, direction = up(d)',
    why: 'The residual must not reach into the coordinates of the subspace, or they are stepped on twice.',
    needs: ['a complete subspace is the rule'],
    notApplicable: ({ claims }) => (claims.mixesParts ? 'not with the claim mixesParts' : null),
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options, seed }) => {
      const coin = randomKey(seed, 'inside');
      const g = normals(shape, seed, 'g');
      const inside = g.map((_, i) => (randomUniform(coin, i) < 0.5 ? 1 : 0));
      const lifted = normals(shape, seed, 'lifted').map((x, i) => x * inside[i]!);
      const residual = g.map((x, i) => x * (1 - inside[i]!));
      const run = new CombineRun(fixture.create(options), shape);
      const direction = await run.apply({ g, lifted, residual, residualDirection: residual.map(Math.sign) });
      requireSame(
        'the direction inside',
        direction.map((x, i) => x * inside[i]!),
        lifted,
      );
    },
  }),
  law({
    name: 'odd',
    formula: 'apply(-inputs) = -apply(inputs)',
    why: 'A combine that prefers a sign drifts.',
    needs: ['state as declared'],
    notApplicable: ({ claims }) => (claims.odd === false ? 'not with the claim odd: false' : null),
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options, seed }) => {
      const combine = fixture.create(options);
      const [g, lifted] = [normals(shape, seed, 'g'), normals(shape, seed, 'lifted')];
      const values = { g, lifted, residual: g, residualDirection: normals(shape, seed, 'direction') };
      const mirrored = Object.fromEntries(Object.entries(values).map(([name, x]) => [name, x.map(y => -y)]));
      const straight = await new CombineRun(combine, shape).apply(values);
      const other = await new CombineRun(combine, shape).apply(mirrored as unknown as typeof values);
      requireSame('-apply(-inputs)', scaled(other, -1), straight);
    },
  }),
  law({
    name: 'rounding noise takes no step',
    formula: 'G in a dense subspace ⟹ direction ≈ up(d), although G - ΠG is rounding noise and not 0',
    why: 'The sign of noise is a full step: without a tolerance, a residual of 1e-7 moves most weights by the learning rate.',
    needs: ['a complete subspace is the rule'],
    notApplicable: ({ sample }) =>
      sample.rule === null || sample.rule.type === 'subspace' ? 'no plain rule on the residual' : null,
    example: combineExamples,
    check: async (fixture: CombineFixture, { shape, options, seed }) => {
      const combine = fixture.create(options);
      const { rule } = combine;
      const [m, n] = matrixView(shape);
      if (rule === null || rule.type === 'subspace' || n < 2) fc.pre(false);
      const rank = Math.max(1, n - 1);
      const rows = orthonormalRows(rank, n, randomKey(seed, 'basis'));
      const basis = tensor2d(
        rows.map(row => Array.from(row)),
        [rank, n],
        'float32',
      );
      const low = tensor2d(randomNormals(randomKey(seed, 'low'), m * rank), [m, rank]);
      const g = matMul(low, basis);
      const lifted = matMul(matMul(g, transpose(basis) as Tensor2D), basis);
      const noise = await sub(g, lifted).data<'float32'>();
      const values = await g.data<'float32'>();
      // As a composition prepares the residual of a dense projector.
      const floor = combine.tolerance * maxAbs(values);
      const residual = noise.map(x => (Math.abs(x) <= floor ? 0 : x));
      const { direction: residualDirection } = await new RuleRun(rule as never, shape).step(residual);
      const up = await lifted.data<'float32'>();
      const direction = await new CombineRun(combine, shape).apply({
        g: values,
        lifted: up,
        residual,
        residualDirection,
      });
      const moved = farthest(direction, up).distance;
      requireAtMost('the largest step on a residual that is rounding noise', moved, 0, 1e-3 * Math.max(1, maxAbs(up)));
    },
  }),
];

/** The four values that a combine reads, in the full space. */
interface CombineValues {
  readonly g: Float32Array;
  readonly lifted: Float32Array;
  readonly residual: Float32Array;
  readonly residualDirection: Float32Array;
}

/** Steps a combine by hand. */
class CombineRun {
  private slots: Record<string, Float32Array>;

  constructor(
    private readonly combine: Combine,
    private readonly shape: Shape,
  ) {
    this.slots = initialSlots(combine.state(shape), shape);
  }

  async apply(values: CombineValues): Promise<Float32Array> {
    const { combine, shape } = this;
    const specs = combine.state(shape);
    const inputs = Object.fromEntries([
      ...Object.entries(values).map(([name, x]) => [name, tensor(x, [...shape], 'float32')]),
      ...Object.entries(this.slots).map(([name, x]) => [
        name,
        tensor(x, [...slotShape(specs[name]!.extent, shape)], 'float32'),
      ]),
    ]);
    const outputs = interpret(traceCombine(combine, shape), inputs, {}, shape);
    const { direction, ...next } = await copiesOf(outputs);
    free(inputs);
    free(outputs);
    this.slots = next;
    return direction!;
  }
}
