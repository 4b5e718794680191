/**
 * What most programs need of frugal.js, whatever the backend: the composer with its recipes, every projector and rule, the
 * learning-rate schedules, what it takes to write a rule, and TensorFlow.js itself as `tf`, so that nobody trains with a
 * second copy of it by mistake. Importing it registers the gradients of tfjs's operations, without which nothing trains.
 *
 * Each entry of the package is this and the kernels of one backend.
 */
import '@tensorflow/tfjs-layers';

export * from '@frugaljs/composer';
export {
  constant,
  cosine,
  expressionRule,
  FrugalError,
  joined,
  linear,
  norm,
  type Rule,
  type Schedule,
  tensorRule,
  type Value,
  type Wrapper,
  warmupCosine,
  warmupStableDecay,
  wrapRule,
} from '@frugaljs/core';
export * from '@frugaljs/projectors';
export * from '@frugaljs/state-free';
export * from '@frugaljs/state-full';
export * as tf from '@tensorflow/tfjs-core';
