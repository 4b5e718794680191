import type { Tensor } from '@tensorflow/tfjs-core';
import type { Described } from './json.js';
import type { Shape } from './shape.js';
import type { SlotSpec } from './slots.js';

/** Tensor arguments of a {@link TensorRule}: the gradient `g` and every state slot, by name. */
export type TensorRuleInputs<S extends string> = { readonly [K in S]: Tensor } & { readonly g: Tensor };

/** What a {@link TensorRule} returns. */
export type TensorRuleOutputs<S extends string> = { readonly [K in 'direction' | S]: Tensor };

/**
 * A rule that needs matrix algebra and is written directly in tfjs operations. It runs on every backend as it stands
 * and is never fused.
 */
export interface TensorRule<S extends string = string> extends Described {
  readonly type: 'tensor';
  state(shape: Shape): Readonly<Record<S, SlotSpec>>;
  scalars?(t: number, shape: Shape): Readonly<Record<string, number>>;
  /** Called inside `tf.tidy`; must not dispose or change its arguments. */
  step(x: TensorRuleInputs<S>, scalars: Readonly<Record<string, number>>, shape: Shape): TensorRuleOutputs<S>;
}

/** Fills in `type` and infers the slot names of a tensor rule. */
export function tensorRule<S extends string = never>(rule: Omit<TensorRule<S>, 'type'>): TensorRule<S> {
  return { ...rule, type: 'tensor' };
}
