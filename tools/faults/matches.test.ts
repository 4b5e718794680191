import { compose } from '@frugaljs/composer';
import { sgd } from '@frugaljs/state-free';
import { lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';

beforeAll(() => tf.setBackend('cpu'));

/** A first update with the gradients of one dense layer. */
function train(name: string, optimizer: tf.Optimizer): void {
  const layer = tfl.layers.dense({ name, units: 2, inputShape: [3] });
  const model = tfl.sequential({ layers: [layer] });
  const variables = layer.trainableWeights.map(weight => weight.read() as tf.Variable);
  try {
    optimizer.applyGradients(variables.map(variable => ({ name: variable.name, tensor: tf.onesLike(variable) })));
  } finally {
    model.dispose();
  }
}

it('the name of a layer as a match says what the names of its variables are', () => {
  const groups = [{ match: 'head', use: lion() }, { use: sgd() }];
  expect(() => train('head', compose({ learningRate: 1, groups }))).toThrow(
    'A string is a whole name, such as head/kernel; a regular expression takes a part of one.',
  );
});

it('a slip in a whole name brings up the whole name', () => {
  const groups = [{ match: 'answer/kernle', use: lion() }, { use: sgd() }];
  expect(() => train('answer', compose({ learningRate: 1, groups }))).toThrow('Did you mean answer/kernel?');
});

it('a group after one that takes its variables says so', () => {
  const groups = [{ match: /kernel|bias/, use: sgd() }, { match: /^output/, use: lion() }, { use: sgd() }];
  expect(() => train('output', compose({ learningRate: 1, groups }))).toThrow(
    'groups[0] matches output/kernel and comes first: put groups[1] before it.',
  );
});

it('a layer as a match says that it is one', () => {
  const layer = tfl.layers.dense({ name: 'scores', units: 2, inputShape: [3] });
  const groups = [{ match: layer as never, use: lion() }, { use: sgd() }];
  expect(() => compose({ learningRate: 1, groups })).toThrow('found the layer "scores"');
});
