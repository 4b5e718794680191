import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';

/** A small two-layer model under Hugging Face names. */
export interface Model {
  readonly parameters: Readonly<Record<string, tf.Variable>>;
  loss(step: number): tf.Scalar;
  dispose(): void;
}

const SHAPES: Readonly<Record<string, readonly [number, ...number[]]>> = {
  'model.layers.0.mlp.up_proj.weight': [12, 8],
  'model.layers.1.mlp.down_proj.weight': [6, 12],
  'model.norm.weight': [6],
};

/** Makes the model; the same seed gives the same weights. Its variables' names are free again once it is disposed. */
export function makeModel(seed = 1, shapes: Readonly<Record<string, readonly number[]>> = SHAPES): Model {
  const parameters = Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [
      name,
      tf.tidy(() => tf.variable(tf.mul(tf.randomNormal([...shape], 0, 1, 'float32', 100 * seed + i), 0.3), true, name)),
    ]),
  );
  const [up, down, norm] = Object.values(parameters) as [tf.Variable, tf.Variable, tf.Variable];
  return {
    parameters,
    loss: step =>
      tf.tidy(() => {
        const x = tf.randomNormal([10, up.shape[1]!], 0, 1, 'float32', 7000 + step) as tf.Tensor2D;
        const y = tf.randomNormal([10, norm.shape[0]!], 0, 1, 'float32', 9000 + step);
        const hidden = tf.matMul(x, tf.transpose(up as tf.Tensor2D) as tf.Tensor2D);
        const out = tf.mul(tf.matMul(hidden, tf.transpose(down as tf.Tensor2D) as tf.Tensor2D), tf.add(norm, 1));
        return tf.mean(tf.square(tf.sub(out, y))) as tf.Scalar;
      }),
    dispose: () => tf.dispose(parameters),
  };
}

/** Trains steps `from` to `to`, returns the losses. */
export function trainSteps(model: Model, optimizer: tf.Optimizer, from: number, to: number): number[] {
  const losses: number[] = [];
  for (let step = from; step < to; step++) {
    const cost = optimizer.minimize(() => model.loss(step), true, Object.values(model.parameters))!;
    losses.push(cost.dataSync()[0]!);
    cost.dispose();
  }
  return losses;
}

/** Bits of all values, so that NaN and -0 count too. */
export function bitsOf(tensors: Readonly<Record<string, tf.Tensor>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const data = tensor.dataSync().slice();
      return [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex')];
    }),
  );
}

/** The whole state of an optimizer, as bits. */
export async function stateBits(optimizer: {
  getWeights(): Promise<{ name: string; tensor: tf.Tensor }[]>;
}): Promise<Record<string, string>> {
  const weights = await optimizer.getWeights();
  return bitsOf(Object.fromEntries(weights.map(({ name, tensor }) => [name, tensor])));
}
