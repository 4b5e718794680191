import '@tensorflow/tfjs-backend-cpu';
import '@frugaljs/backend-wasm';
import { randomKey, randomNormals, soleSite } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { dct, random, svd } from '../src/index.js';

const SIDES = ['left', 'right', 'full'] as const;
const PROJECTORS = [
  ...SIDES.flatMap(side => [svd({ rank: 3, side }), random({ rank: 3, side })]),
  dct({ density: 0.5 }),
];

describe.each(['cpu', 'wasm'])('on %s', backend => {
  test.each(
    PROJECTORS.map(projector => [`${projector.kind} ${JSON.stringify(projector.options)}`, projector] as const),
  )('rows of up(X) are those of the whole: %s', async (_, projector) => {
    await tf.setBackend(backend);
    for (const shape of [
      [7, 5],
      [5, 9],
      [1, 4],
    ] as const) {
      if (shape[0] < 3 && projector.kind !== 'dct') continue;
      const before = tf.memory().numTensors;
      tf.tidy(() => {
        const site = soleSite('w', [...shape]);
        const normals = (size: readonly number[], key: number): tf.Tensor =>
          tf.tensor(
            randomNormals(
              randomKey(3, key),
              size.reduce((a, b) => a * b, 1),
            ),
            [...size],
          );
        const reduced = projector.reducedShape(site, 0);
        if (reduced === null || reduced.includes(0)) return;
        const basis = projector.fit(normals(shape, 0), null, { site, refreshIndex: 0 });
        const x = normals(reduced, 1);
        const whole = projector.up(x, basis as never, site).arraySync() as number[][];
        const upRows = projector.upRows!(basis as never, site);
        for (const [from, count] of [
          [0, shape[0]],
          [0, 1],
          [shape[0] - 1, 1],
        ] as const) {
          const rows = upRows(x, from, count);
          expect(rows.shape).toEqual([count, shape[1]]);
          (rows.arraySync() as number[][]).forEach((row, i) => {
            row.forEach((value, j) => {
              expect(value).toBeCloseTo(whole[from + i]![j]!, 5);
            });
          });
        }
      });
      expect(tf.memory().numTensors).toBe(before);
    }
  });
});
