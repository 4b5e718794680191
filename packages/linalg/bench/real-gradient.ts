import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  cast,
  div,
  keep,
  matMul,
  mul,
  oneHot,
  randomNormal,
  reshape,
  softmax,
  square,
  sub,
  type Tensor2D,
  tanh,
  tensor1d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';

const EMBEDDING = 128;
const CONTEXT = 8;
const WIDTH = EMBEDDING * CONTEXT;
const BATCH = 1024;

/**
 * Gradients of the middle 1024 x 1024 layer of a character model (8 characters of context, two tanh layers, softmax),
 * trained by plain gradient descent on a text, at the given steps: real gradients of a real loss, made in seconds.
 */
export function realGradients(textFile: string, steps: readonly number[]): Tensor2D[] {
  const bytes = readFileSync(textFile);
  const text = (textFile.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
  const alphabet = [...new Set(text)].sort();
  const ids = Int32Array.from(text, c => alphabet.indexOf(c));
  const normal = (rows: number, columns: number, scale: number, seed: number): Tensor2D =>
    keep(randomNormal([rows, columns], 0, scale, 'float32', seed));
  const embedding = normal(alphabet.length, EMBEDDING, 1, 1);
  let first = normal(WIDTH, WIDTH, 0.04, 2);
  let second = normal(WIDTH, WIDTH, 0.045, 3);
  let output = normal(WIDTH, alphabet.length, 0.03, 4);
  const gradients: Tensor2D[] = [];
  let state = 7;
  const draw = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  for (let step = 1; step <= Math.max(...steps); step++) {
    const x = new Int32Array(BATCH * CONTEXT);
    const y = new Int32Array(BATCH);
    for (let i = 0; i < BATCH; i++) {
      const start = draw(ids.length - CONTEXT - 1);
      x.set(ids.subarray(start, start + CONTEXT), i * CONTEXT);
      y[i] = ids[start + CONTEXT]!;
    }
    const encode = (labels: Int32Array): Tensor2D =>
      cast(oneHot(tensor1d(labels, 'int32'), alphabet.length), 'float32') as Tensor2D;
    const next = tidy(() => {
      const input: Tensor2D = reshape(matMul(encode(x), embedding), [BATCH, WIDTH]);
      const h1: Tensor2D = tanh(matMul<Tensor2D>(input, first));
      const h2: Tensor2D = tanh(matMul<Tensor2D>(h1, second));
      const error: Tensor2D = div(sub(softmax(matMul(h2, output)), encode(y)), BATCH);
      const d2: Tensor2D = mul(matMul(error, transpose(output)), sub(1, square(h2)));
      const d1: Tensor2D = mul(matMul(d2, transpose(second)), sub(1, square(h1)));
      const gSecond: Tensor2D = matMul(transpose(h1), d2);
      if (steps.includes(step)) gradients.push(keep(mul(gSecond, 1)));
      const descend = (w: Tensor2D, g: Tensor2D): Tensor2D => keep(sub<Tensor2D>(w, mul(g, 0.3)));
      return {
        first: descend(first, matMul(transpose(input), d1)),
        second: descend(second, gSecond),
        output: descend(output, matMul(transpose(h2), error)),
      };
    });
    for (const old of [first, second, output]) old.dispose();
    ({ first, second, output } = next);
  }
  for (const t of [embedding, first, second, output]) t.dispose();
  return gradients;
}
