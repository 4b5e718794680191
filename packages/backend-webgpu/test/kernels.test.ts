import { DeviceKernels, deviceKernels, tensorDevice } from '@frugaljs/backend-webgpu';
import { interpret, randomKey, randomNormals, slotShape, Tracer } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { describeOnDevice } from './device.js';

function normal(shape: readonly number[], seed: number): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(randomNormals(randomKey(7, seed), size), [...shape]);
}

/** Reductions of every kind, on each other, and state of every extent. */
const everything = (() => {
  const tracer = new Tracer();
  const [w, g] = [tracer.input('w', 'element'), tracer.input('g', 'element')];
  const [r, c, t] = [tracer.input('r', 'row'), tracer.input('c', 'column'), tracer.input('t', 'tensor')];
  const perRow = g.square().mean('row').add(r);
  const perColumn = g.abs().max('column').add(c).add(g.mean('column'));
  const all = perRow.mean().add(perColumn.mean()).add(g.sub(w).mean()).add(t).add(g.min());
  const next = w.mul(0.9).sub(g.mul(tracer.scalar('rate')).div(perRow.sqrt().add(1)).div(perColumn.add(2)));
  return tracer.graph(
    { w: next.add(all.mul(0.1)), r: perRow, c: perColumn, t: all },
    { w: 'element', r: 'row', c: 'column', t: 'tensor' },
  );
})();

const OVER = { w: 'w', r: 'r', c: 'c', t: 't' };

async function compare(kernels: DeviceKernels, shape: readonly number[]): Promise<number> {
  const inputs = (): Record<string, tf.Tensor> => ({
    w: normal(shape, 1),
    g: normal(shape, 2),
    r: tf.abs(normal(slotShape('row', shape), 3)),
    c: tf.abs(normal(slotShape('column', shape), 4)),
    t: tf.scalar(0.25),
  });
  const [own, given] = [inputs(), inputs()];
  const expected = tf.tidy(() => interpret(everything, given, { rate: 0.3 }, shape));
  const found = kernels.run(everything, own, { rate: 0.3 }, shape, OVER);
  let worst = 0;
  for (const name of Object.keys(OVER)) {
    expect(found[name]).toBe(own[name]);
    worst = Math.max(worst, worstError(await found[name]!.data(), await expected[name]!.data()));
  }
  tf.dispose([own, given, expected]);
  return worst;
}

describeOnDevice('kernels', () => {
  test.each([[[1]], [[7]], [[3, 5]], [[700, 33]], [[33, 700]], [[5000]], [[40, 5, 30]], [[1500, 2]], [[2, 3000]]])(
    'reductions of %j',
    async shape => {
      expect(await compare(deviceKernels(), shape)).toBeLessThan(1e-5);
    },
  );

  test('dispatches are cut where the device allows few workgroups', async () => {
    const device = tensorDevice(tf.engine().backend);
    const small = new DeviceKernels(device, { groups: 3 });
    expect(await compare(new DeviceKernels(device, { groups: 40 }), [700, 33])).toBeLessThan(1e-5);
    const tracer = new Tracer();
    const [w, g] = [tracer.input('w', 'element'), tracer.input('g', 'element')];
    const next = w.sub(g.mul(tracer.input('factor', 'tensor')));
    const graph = tracer.graph({ w: next }, { w: 'element' });
    for (const size of [1, 767, 768, 769, 2048, 2049, 3072, 3076, 10_000]) {
      const [a, b, factor] = [normal([size], 1), normal([size], 2), tf.scalar(0.5)];
      const expected = await tf.tidy(() => tf.sub(a, tf.mul(b, 0.5))).data();
      small.run(graph, { w: a, g: b, factor }, {}, [size], { w: 'w' });
      expect(worstError(await a.data(), expected)).toBeLessThan(1e-6);
      tf.dispose([a, b, factor]);
    }
  });

  test('what the device cannot bind is an error with the numbers, before any command is made of it', async () => {
    const small = new DeviceKernels(tensorDevice(tf.engine().backend), { bindingBytes: 8192 });
    const tracer = new Tracer();
    const [w, g] = [tracer.input('w', 'element'), tracer.input('g', 'element')];
    const next = tracer.graph({ w: w.sub(g) }, { w: 'element' });
    const message = /shape \[3000\]: expected at most 8192 bytes.*found 12000 bytes/;
    const [fits, large] = [normal([2048], 1), normal([3000], 1)];
    expect(() => small.run(next, { w: large, g: large }, {}, [3000], {})).toThrow(message);
    small.run(next, { w: fits, g: fits }, {}, [2048], { w: 'w' });
    expect(Array.from(await fits.data())).toEqual(new Array(2048).fill(0));
    const check = small.finiteCheck();
    for (const onNonFinite of ['ignore', 'skip', 'halt'] as const) {
      const gradients = [fits, large].map((gradient, id) => ({ id, gradient }));
      expect(() => check.check(gradients, { onNonFinite })).toThrow(message);
    }
    expect((await check.report()).latest).toEqual([]);
    check.dispose();
    tf.dispose([fits, large]);
  });

  test.each([[[20_000, 3]], [[3, 20_000]], [[40_001, 1]]])(
    'reductions of %j need little memory besides',
    async shape => {
      const kernels = new DeviceKernels(tensorDevice(tf.engine().backend), { bindingBytes: 2 ** 21 });
      expect(await compare(kernels, shape)).toBeLessThan(1e-5);
    },
  );

  test('more buffers than a kernel can bind are refused with the numbers', () => {
    const kernels = new DeviceKernels(tensorDevice(tf.engine().backend), { buffers: 5 });
    expect(kernels.refusal(everything)).toBe('6 buffers, of which this device binds 5');
  });

  test('after a write, data() reads the device again, also when it was asked before', async () => {
    const tracer = new Tracer();
    const graph = tracer.graph({ w: tracer.input('w', 'element').add(1) }, { w: 'element' });
    const w = tf.zeros([5]);
    deviceKernels().run(graph, { w }, {}, [5], { w: 'w' });
    const early = w.data();
    deviceKernels().run(graph, { w }, {}, [5], { w: 'w' });
    expect(Array.from(await early)).toEqual([1, 1, 1, 1, 1]);
    expect(Array.from(await w.data())).toEqual([2, 2, 2, 2, 2]);
    w.dispose();
  });
});
