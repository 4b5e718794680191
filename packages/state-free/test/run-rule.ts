import { interpret, type Shape, type StateFreeRule, traceRule } from '@frugaljs/core';
import { dispose, tensor } from '@tensorflow/tfjs-core';

/** The direction of a state-free rule for one gradient. */
export function directionOf(rule: StateFreeRule, shape: Shape, gradient: ArrayLike<number>): Float32Array {
  const g = tensor(Float32Array.from(gradient), [...shape], 'float32');
  const { direction } = interpret(traceRule(rule, shape), { g }, rule.scalars?.(1, shape) ?? {}, shape);
  const values = direction!.dataSync<'float32'>().slice();
  dispose([g, direction!]);
  return values;
}
