import { adamW, foam } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { SlotState } from '../src/bound/slots.js';
import { compose } from '../src/index.js';

afterEach(() => tf.disposeVariables());

describe.each(BACKENDS)('state per block of columns on %s', backend => {
  useBackend(backend);

  /** Two rows of seven columns: blocks of three, of which the last has one column. */
  const carried = (carry: (x: tf.Tensor, degree: 1 | 2) => tf.Tensor): number[] => {
    const state = new SlotState({ m: { extent: { block: 3 } } }, [2, 7]);
    const m = tf.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    state.commit({ m }, null);
    state.transport(carry, null);
    const inputs: Record<string, tf.Tensor | number> = {};
    state.addTo(inputs);
    const values = [...(inputs['m'] as tf.Tensor).dataSync()];
    state.reset();
    return values;
  };

  test('stays as it is where nothing moves, in a block that is not full, too', () => {
    const before = tf.memory().numTensors;
    expect(carried(x => x.clone())).toEqual([1, 2, 3, 4, 5, 6]);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('is spread over the columns of its block, carried, and averaged over those', () => {
    // The columns in reverse: 3 | 2 2 2 | 1 1 1 becomes 3 2 2 | 2 1 1 | 1.
    const [first, second, third, ...below] = carried(x => tf.reverse(x, 1));
    expect([first, second, third]).toEqual([7 / 3, 4 / 3, 1].map(value => expect.closeTo(value, 6)));
    expect(below).toEqual([16 / 3, 13 / 3, 4].map(value => expect.closeTo(value, 6)));
  });

  test('is saved, and goes on bit for bit', async () => {
    const path = async (restore: boolean): Promise<number[]> => {
      const w = tf.variable(tf.ones([3, 7]), true, 'w');
      const b = tf.variable(tf.zeros([5]), true, 'b');
      const make = () =>
        compose({ learningRate: 0.1, groups: [{ match: ['w'], use: foam({ level: 2 }) }, { use: adamW() }] });
      let optimizer = make();
      for (let step = 0; step < 6; step++) {
        if (restore && step === 3) {
          const saved = await optimizer.getWeights();
          const slots = saved.filter(({ name }) => /^w.*[mv]$/.test(name)).map(({ tensor }) => tensor.shape);
          expect(slots).toEqual([
            [3, 2],
            [3, 2],
          ]);
          const next = make();
          await next.setWeights(saved);
          optimizer.dispose();
          optimizer = next;
        }
        const gradients = { w: tf.randomNormal([3, 7], 0, 1, 'float32', step + 1), b: tf.ones([5]) };
        optimizer.applyGradients(gradients);
        tf.dispose(gradients);
      }
      const values = [...w.dataSync()];
      optimizer.dispose();
      tf.dispose([w, b]);
      return values;
    };
    expect(await path(true)).toEqual(await path(false));
  });
});
