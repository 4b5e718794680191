import { DeviceKernels, deviceKernels, tensorDevice } from '@frugaljs/backend-webgpu';
import { compose, residual, subspace } from '@frugaljs/composer';
import {
  type Graph,
  type Rule,
  randomKey,
  randomNormals,
  registerKernels,
  type SplitTier,
  Tracer,
} from '@frugaljs/core';
import { rows } from '@frugaljs/projectors';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { describeOnDevice } from './device.js';

type Axis = 'row' | 'column' | 'element';

/** Tier k: m ← m/2 + g·factor, w ← w - (k + 1)·m. The last tier has a state of full size on rows, else none. */
function tierGraph(k: number, hasState: boolean): Graph {
  const tracer = new Tracer();
  const [w, g] = [tracer.input('w', 'element'), tracer.input('g', 'element')];
  const scaled = g.mul(tracer.input('factor', 'tensor')).mul(tracer.scalar('rate'));
  if (!hasState) return tracer.graph({ w: w.sub(scaled.mul(k + 1)) }, { w: 'element' });
  const m = tracer.input('m', 'element').mul(0.5).add(scaled);
  return tracer.graph({ w: w.sub(m.mul(k + 1)), m }, { w: 'element', m: 'element' });
}

/** The same, entry by entry on the host. */
function expected(
  axis: Axis,
  [rows, columns]: readonly [number, number],
  lists: readonly number[][],
  w: Float32Array,
  g: Float32Array,
  states: readonly Float32Array[],
): void {
  for (let i = 0; i < rows * columns; i++) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const index = { row, column, element: i }[axis];
    const tier = lists.findIndex(list => list.includes(index));
    const k = tier === -1 ? lists.length : tier;
    const place = tier === -1 ? -1 : lists[tier]!.indexOf(index);
    const at = {
      row: place * columns + column,
      column: row * (lists[tier]?.length ?? 0) + place,
      element: place,
    }[axis];
    const spot = tier === -1 ? i : at;
    const state = states[k];
    const scaled = g[i]! * 0.5 * 0.25;
    if (state !== undefined) state[spot] = state[spot]! * 0.5 + scaled;
    w[i]! -= (k + 1) * (state === undefined ? scaled : state[spot]!);
  }
}

const cases = fc.record({
  axis: fc.constantFrom<Axis>('row', 'column', 'element'),
  rows: fc.integer({ min: 1, max: 40 }),
  // Four entries at a time where columns allow it.
  columns: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(4, 64, 132)),
  lists: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(1e6),
});

/** Disjoint ascending lists, some of them empty or all there is. */
function drawLists(extent: number, count: number, seed: number): number[][] {
  const draw = randomNormals(randomKey(seed, 'lists'), extent);
  const lists: number[][] = Array.from({ length: count }, () => []);
  draw.forEach((x, i) => {
    const tier = Math.floor(Math.abs(x) * 2.5);
    if (tier < count) lists[tier]!.push(i);
  });
  return lists.filter(list => list.length > 0);
}

async function check(kernels: DeviceKernels, test: typeof cases extends fc.Arbitrary<infer T> ? T : never) {
  const { axis, rows, columns, seed } = test;
  const extent = { row: rows, column: columns, element: rows * columns }[axis];
  const lists = drawLists(extent, test.lists, seed);
  if (lists.length === 0) return;
  const size = rows * columns;
  const [w, g] = [randomNormals(randomKey(seed, 'w'), size), randomNormals(randomKey(seed, 'g'), size)];
  const perIndex = size / extent;
  const states = lists.map((list, k) => randomNormals(randomKey(seed, k), list.length * perIndex));
  // State of full size, for what is in no list, exists on rows only.
  if (axis === 'row') states.push(randomNormals(randomKey(seed, 'rest'), size));
  const tensors = states.map(state => tf.tensor1d(state.slice()));
  const [wTensor, gTensor] = [tf.tensor2d(w.slice(), [rows, columns]), tf.tensor2d(g.slice(), [rows, columns])];
  const factor = tf.scalar(0.5);
  const tiers = [...lists, null].map((list, k): SplitTier => {
    const state: Record<string, tf.Tensor> = tensors[k] === undefined ? {} : { m: tensors[k]! };
    return {
      indices: list === null ? null : tf.tensor1d(list, 'int32'),
      graph: tierGraph(k, tensors[k] !== undefined),
      compact: list === null ? {} : state,
      full: list === null ? state : {},
      scalars: { rate: 0.25 },
      shared: { factor },
    };
  });
  for (let step = 0; step < 2; step++) {
    kernels.runSplit(axis, wTensor, gTensor, tiers);
    expected(axis, [rows, columns], lists, w, g, states);
  }
  expect(worstError(await wTensor.data(), w)).toBeLessThan(1e-6);
  for (const [i, tensor] of tensors.entries()) expect(worstError(await tensor.data(), states[i]!)).toBeLessThan(1e-6);
  tf.dispose([wTensor, gTensor, tensors, factor, tiers.flatMap(({ indices }) => (indices === null ? [] : [indices]))]);
}

describeOnDevice('splits', () => {
  test.each([
    ['in one dispatch', true],
    ['tier by tier', false],
  ])('every entry meets the rule and the state of its tier, %s', async (_, branches) => {
    const kernels = new DeviceKernels(tensorDevice(tf.engine().backend), { branches });
    await fc.assert(
      fc.asyncProperty(cases, found => check(kernels, found)),
      { seed: 11, numRuns: 40 },
    );
  });

  test('tier by tier where a kernel can bind few buffers, piece by piece where a dispatch is short', async () => {
    const kernels = new DeviceKernels(tensorDevice(tf.engine().backend), { buffers: 7, groups: 2 });
    await fc.assert(
      fc.asyncProperty(cases, found => check(kernels, found)),
      { seed: 12, numRuns: 20 },
    );
  });

  test.each([
    [3, 'fused WGSL, in place: one pass, split by row in 4'],
    [4, 'reference: 9 buffers, of which this device binds 8'],
  ])('%d deep: %s', async (depth, expectedKernel) => {
    const kernels = new DeviceKernels(tensorDevice(tf.engine().backend), { buffers: 8 });
    registerKernels('webgpu', () => kernels);
    try {
      let use: Rule = adamW();
      for (let level = 0; level < depth; level++) {
        use = subspace({ projector: rows({ density: 0.2 }), rule: adamW(), combine: residual(use) });
      }
      const variable = tf.tidy(() => tf.variable(tf.ones([20, 3]), true, `deep${depth}`));
      const optimizer = compose({ learningRate: 0.5, groups: [{ use }] });
      const gradient = tf.ones([20, 3]);
      optimizer.applyGradients({ [variable.name]: gradient });
      await optimizer.settled();
      expect(optimizer.explain().map(({ kernel }) => kernel)).toEqual([expectedKernel]);
      expect(worstError(await variable.data(), new Float32Array(60).fill(0.5))).toBeLessThan(1e-6);
      optimizer.dispose();
      tf.dispose([variable, gradient]);
    } finally {
      registerKernels('webgpu', deviceKernels);
    }
  });
});
