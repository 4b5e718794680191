import { type Json, NotSerializableError } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { SavedComposition } from './manifest.js';

/** A tensor and what the optimizer calls it. */
export interface NamedTensor {
  name: string;
  tensor: Tensor;
}

interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** An optimizer whose state can be saved: those of `compose` and the recipes, and tfjs's own. */
export interface SavableOptimizer {
  /** The whole state as named tensors. */
  getWeights(): Promise<NamedTensor[]>;
  /** Takes such tensors over; they stay the caller's. */
  setWeights(weights: NamedTensor[]): Promise<void>;
  /** Settings as JSON; an optimizer of tfjs has these only. */
  getConfig(): object;
  /** The composition as JSON; preferred to `getConfig`. */
  toJSON?(): object;
  /** What trains each parameter. */
  explain?(parameters: readonly NamedShape[]): readonly { readonly parameter: string; readonly rule: string }[];
}

/** How an optimizer is composed, in the words of a manifest. */
export function compositionOf(
  optimizer: SavableOptimizer,
  parameters: Readonly<Record<string, { readonly name?: string; readonly shape: readonly number[] }>>,
): Omit<SavedComposition, 'order'> {
  const composition = JSON.parse(JSON.stringify(optimizer.toJSON?.() ?? optimizer.getConfig())) as Json;
  if (typeof composition !== 'object' || composition === null || Array.isArray(composition)) {
    throw new NotSerializableError({ parameter: 'save.optimizer', found: composition, expected: 'settings as JSON' });
  }
  const shapes = Object.entries(parameters).map(([key, { name, shape }]) => ({ name: name ?? key, shape }));
  const rules = optimizer.explain?.(shapes) ?? [];
  return { composition, rules: Object.fromEntries(rules.map(({ parameter, rule }) => [parameter, rule])) };
}
