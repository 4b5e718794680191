import { matrixView, randomKey, randomNormals, randomUniform, type Shape, sizeOf } from '@frugaljs/core';
import { matMul, sub, type Tensor2D, tensor2d, transpose } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { type Law, law, requireAtMost, requireClose, requireSame } from '../law.js';
import { axpy, dot, farthest, maxAbs, norm, orthonormalRows, scaled } from '../numerics.js';
import { RuleRun } from '../rule/fixture.js';
import { CLOSE, type CombineFixture, CombineRun, combineExamples, normals, runOf } from './fixture.js';

/** Laws of the direction that a combine makes, and of what it carries. */
export const COMBINE_VALUE_LAWS: readonly Law<CombineFixture>[] = [
  law({
    name: 'nothing in, nothing out',
    formula: 'apply(0) = 0',
    why: 'A parameter without a gradient must not move.',
    needs: ['state as declared'],
    example: combineExamples,
    check: async (fixture: CombineFixture, example) => {
      const { shape } = example;
      const zero = new Float32Array(sizeOf(shape));
      const run = runOf(fixture, example);
      for (let t = 0; t < 2; t++) {
        const direction = await run.apply({ g: zero, lifted: zero, residual: zero, residualDirection: zero });
        requireSame('the direction', direction, zero);
      }
    },
  }),
  law({
    name: 'a complete subspace is the rule',
    formula: 'residual = 0 ⟹ direction = up(d), times the claimed factor',
    why: 'With density 1 a hybrid must be its state-full rule.',
    needs: ['state as declared'],
    notApplicable: stepsByNoRule,
    example: combineExamples,
    check: async (fixture: CombineFixture, example) => {
      const { shape, options, seed } = example;
      const zero = new Float32Array(sizeOf(shape));
      const run = runOf(fixture, example);
      for (let t = 0; t < 2; t++) {
        const lifted = normals(shape, seed, `lifted${t}`);
        const direction = await run.apply({
          g: normals(shape, seed, `g${t}`),
          lifted,
          residual: zero,
          residualDirection: zero,
        });
        requireSame('the direction', direction, float32(scaled(lifted, liftedScale(fixture, options))));
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
    check: async (fixture: CombineFixture, example) => {
      const { shape, options, seed } = example;
      const g = normals(shape, seed, 'g');
      const found = normals(shape, seed, 'direction');
      const run = runOf(fixture, example);
      const direction = await run.apply({ g, residual: g, residualDirection: found, within: null });
      const expected = scaled(found, fixture.claims.scale!(options));
      requireClose('the direction', direction, expected, CLOSE * maxAbs(expected));
    },
  }),
  law({
    name: 'parts do not mix',
    formula: 'where only the subspace has entries, direction = up(d), times the claimed factor',
    why: 'The residual must not reach into the coordinates of the subspace, or they are stepped on twice.',
    needs: ['a complete subspace is the rule'],
    notApplicable: fixture =>
      stepsByNoRule(fixture) ?? (fixture.claims.mixesParts ? 'not with the claim mixesParts' : null),
    example: combineExamples,
    check: async (fixture: CombineFixture, example) => {
      const { shape, options, seed } = example;
      const coin = randomKey(seed, 'inside');
      const g = normals(shape, seed, 'g');
      const inside = g.map((_, i) => (randomUniform(coin, i) < 0.5 ? 1 : 0));
      const lifted = normals(shape, seed, 'lifted').map((x, i) => x * inside[i]!);
      const residual = g.map((x, i) => x * (1 - inside[i]!));
      const run = runOf(fixture, example);
      const direction = await run.apply({ g, lifted, residual, residualDirection: residual.map(Math.sign) });
      requireSame(
        'the direction inside',
        direction.map((x, i) => x * inside[i]!),
        float32(scaled(lifted, liftedScale(fixture, options))),
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
    check: async (fixture: CombineFixture, { shape, per, options, seed }) => {
      const combine = fixture.create(options);
      const [g, lifted] = [normals(shape, seed, 'g'), normals(shape, seed, 'lifted')];
      const values = { g, lifted, residual: g, residualDirection: normals(shape, seed, 'direction') };
      const mirrored = Object.fromEntries(Object.entries(values).map(([name, x]) => [name, x.map(y => -y)]));
      const straight = await new CombineRun(combine, shape, per).apply(values);
      const other = await new CombineRun(combine, shape, per).apply(mirrored as unknown as typeof values);
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
    check: async (fixture: CombineFixture, { shape, per, options, seed }) => {
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
      const direction = await new CombineRun(combine, shape, per).apply({
        g: values,
        lifted: up,
        residual,
        residualDirection,
      });
      const moved = farthest(direction, up).distance;
      requireAtMost('the largest step on a residual that is rounding noise', moved, 0, 1e-3 * Math.max(1, maxAbs(up)));
    },
  }),
  law({
    name: 'what is fed back is not lost',
    formula: 'SGD inside, any subspaces: Σ directions + what is carried = Σ G, after every step',
    why: 'Feedback promises that everything is applied in the end; a factor on the error loses a part in every step.',
    needs: ['state as declared'],
    notApplicable: ({ sample, claims }) => {
      if (sample.feedsBack === undefined) return 'feeds nothing back';
      return claims.conserves === false ? 'not with the claim conserves: false' : null;
    },
    example: combineExamples,
    check: async (fixture: CombineFixture, example) => {
      const { shape, seed } = example;
      const run = runOf(fixture, example);
      const carried = (): Float32Array => run.slots[fixture.sample.feedsBack!]!;
      let [given, applied]: Float64Array[] = [new Float64Array(sizeOf(shape)), new Float64Array(sizeOf(shape))];
      let largest = 0;
      for (let t = 0; t < STEPS; t++) {
        const fresh = normals(shape, seed, `g${t}`);
        given = axpy(given!, 1, fresh);
        const g = float32(axpy(fresh, 1, carried()));
        const lifted = float32(onSubspace(g, shape, seed + t));
        const within = { shape, low: lifted, lowDirection: lifted };
        const residual = float32(axpy(g, -1, lifted));
        applied = axpy(applied!, 1, await run.apply({ g, lifted, residual, within }));
        largest = Math.max(largest, maxAbs(g), maxAbs(given));
        const all = axpy(applied, 1, carried());
        requireClose(`Σ directions + carried after step ${t + 1}`, all, given, (t + 1) * CLOSE * largest);
      }
    },
  }),
  law({
    name: 'growth is limited',
    formula:
      'S = direction - factor · up(d): ‖S‖ ≤ limit · (‖S before‖ + ε), and S is what it is without a limit where that is shorter',
    why: 'A limiter that compares with what it has cut off lets a spike through in the second step.',
    needs: ['state as declared', 'a complete subspace is the rule'],
    notApplicable: ({ claims }) => (claims.limit === undefined ? 'no claim limit' : null),
    example: combineExamples,
    check: async (fixture: CombineFixture, example) => {
      const { shape, options, seed } = example;
      const limit = fixture.claims.limit!(options);
      fc.pre(limit !== null);
      const run = runOf(fixture, example);
      let before = Number.POSITIVE_INFINITY;
      for (let t = 0; t < STEPS; t++) {
        const size = 2 ** Math.round(12 * randomUniform(randomKey(seed, 'size'), t) - 6);
        const residual = normals(shape, seed, `residual${t}`).map(x => x * size);
        const low = normals(shape, seed, `low${t}`);
        const lowDirection = normals(shape, seed, `direction${t}`);
        const values = { g: residual, residual, within: { shape, low, lowDirection } };
        const unlimited = await runOf(fixture, example).apply(values);
        const found = await run.apply(values);
        const [size1, free] = [norm(found), norm(unlimited)];
        const most = limit!.factor * (before + limit!.epsilon);
        requireAtMost(`‖S‖ at step ${t + 1}`, size1, most, CLOSE * most);
        if (free <= most * (1 - CLOSE)) requireClose(`S at step ${t + 1}`, found, unlimited, CLOSE * free);
        before = size1;
      }
    },
  }),
];

const STEPS = 8;

/** Why a law of the step in the subspace says nothing. */
function stepsByNoRule({ claims }: CombineFixture): string | null {
  return claims.liftedScale === null ? 'takes no step by the direction in the subspace: liftedScale is null' : null;
}

/** The factor on the lifted direction. */
function liftedScale({ claims }: CombineFixture, options: unknown): number {
  return claims.liftedScale?.(options) ?? 1;
}

function float32(x: ArrayLike<number>): Float32Array {
  return Float32Array.from(x);
}

/** The part of a tensor in a random subspace: of coordinates, or of directions along the last axis. */
function onSubspace(g: Float32Array, shape: Shape, seed: number): Float64Array {
  const key = randomKey(seed, 'subspace');
  if (seed % 2 === 0) return Float64Array.from(g, (x, i) => (randomUniform(key, i) < 0.5 ? x : 0));
  const [, n] = matrixView(shape);
  const rows = orthonormalRows(1 + (seed % n), n, key);
  const part = new Float64Array(g.length);
  for (let start = 0; start < g.length; start += n) {
    for (const row of rows) {
      const along = dot(row, g.subarray(start, start + n));
      for (let j = 0; j < n; j++) part[start + j]! += along * row[j]!;
    }
  }
  return part;
}
