import * as tf from '@tensorflow/tfjs-core';
import type { NamedTensor, SavableOptimizer } from '../src/index.js';
import type { Model } from './fixtures.js';

/** An optimizer with the state of Adam and nothing else, for tests of files that train nothing. */
export function adamLike({ parameters }: Model): SavableOptimizer & { readonly state: NamedTensor[] } {
  const state: NamedTensor[] = [
    { name: '::updates', tensor: tf.scalar(12, 'int32') },
    ...Object.entries(parameters).flatMap(([name, { shape }], i) =>
      ['m', 'v'].map(slot => ({ name: `${name}::${slot}`, tensor: tf.randomNormal(shape, 0, 1, 'float32', i) })),
    ),
  ];
  return {
    state,
    getWeights: async () => state,
    setWeights: async weights => {
      for (const [i, { tensor }] of weights.entries()) state[i]!.tensor = tf.clone(tensor);
    },
    getConfig: () => ({ learningRate: 0.1 }),
  };
}
