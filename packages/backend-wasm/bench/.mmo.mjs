import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';

await tf.setBackend('wasm');
const N = 30;
for (const [m, k, n] of [
  [256, 128, 128],
  [256, 128, 352],
  [256, 352, 128],
  [256, 128, 512],
  [256, 512, 128],
  [128, 256, 352],
  [512, 256, 128],
  [1024, 1024, 1024],
  [1024, 512, 512],
  [1, 512, 512],
  [4, 512, 512],
  [64, 32, 64],
  [64, 64, 32],
]) {
  const row = [];
  const ta = false;
  for (const tb of [false]) {
    const a = tf.randomNormal(ta ? [k, m] : [m, k]);
    const b = tf.randomNormal(tb ? [n, k] : [k, n]);
    const reps = Math.max(1, Math.round(3e7 / (m * n * k)));
    for (let i = 0; i < 5 * reps; i++) tf.matMul(a, b, ta, tb).dispose();
    let best = 1e9;
    for (let i = 0; i < N; i++) {
      const t = performance.now();
      for (let r = 0; r < reps; r++) tf.matMul(a, b, ta, tb).dispose();
      best = Math.min(best, (performance.now() - t) / reps);
    }
    row.push(`${(best * 1000).toFixed(0)}us ${((2 * m * n * k) / best / 1e6).toFixed(0)}GF`);
    a.dispose();
    b.dispose();
  }
  console.log([m, k, n].join('x').padEnd(16), row.join(' | '));
}
