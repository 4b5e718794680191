import { isRefreshIndex, variableOf } from '@frugaljs/composer/state';
import { type Json, kernelsFor, NotSerializableError } from '@frugaljs/core';
import { getBackend, type Tensor } from '@tensorflow/tfjs-core';
import type { Runtime, SavedComposition } from './manifest.js';

/** Settings of a composition, by the name they have in its JSON. */
export const SETTING = { kernels: 'kernels', seed: 'seed', learningRateScale: 'learningRateScale' } as const;

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
export type Composition = Omit<SavedComposition, 'order'>;

/** Describes an optimizer and what it does with these parameters. */
export function compositionOf(
  optimizer: SavableOptimizer,
  parameters: Readonly<Record<string, { readonly name?: string; readonly shape: readonly number[] }>>,
): Composition {
  const composition = JSON.parse(JSON.stringify(optimizer.toJSON?.() ?? optimizer.getConfig())) as Json;
  if (typeof composition !== 'object' || composition === null || Array.isArray(composition)) {
    throw new NotSerializableError({ parameter: 'save.optimizer', found: composition, expected: 'settings as JSON' });
  }
  const shapes = Object.entries(parameters).map(([key, { name, shape }]) => ({ name: name ?? key, shape }));
  const rules = optimizer.explain?.(shapes) ?? [];
  return { composition, rules: Object.fromEntries(rules.map(({ parameter, rule }) => [parameter, rule])) };
}

/** What runs the training now, for an optimizer of this composition. */
export function currentRuntime(composition: Json | undefined): Runtime {
  const backend = getBackend();
  const isReference = (composition as { readonly [key: string]: Json } | undefined)?.[SETTING.kernels] === 'reference';
  const kernels = isReference ? null : kernelsFor(backend);
  return { backend, kernels: kernels?.description ?? 'reference' };
}

/** The part of saved optimizer state that may go into an optimizer of another composition. */
export interface FittingState {
  /** Names of the tensors to load, in the order in which they were saved. */
  readonly names: readonly string[];
  /** Variables whose state is kept. */
  readonly kept: readonly string[];
  /** Variables whose state is left out, and why. */
  readonly dropped: readonly { readonly variable: string; readonly reason: string }[];
}

/**
 * Picks the state that fits: a variable keeps its state if the same rule trains it and it has the same shape. State in a
 * subspace depends also on the seed and, block by block, on the variables beside it.
 *
 * @param names Tensors of the saved state, `variable::path`.
 * @param changed Variables of another shape, or in one of the two models only.
 * @param seedChanged Whether the two compositions draw from different seeds.
 */
export function fittingState(
  names: readonly string[],
  saved: Composition,
  now: Composition,
  changed: ReadonlySet<string>,
  seedChanged: boolean,
): FittingState {
  const inSubspaces = new Set(names.filter(isRefreshIndex).map(variableOf));
  const kept: string[] = [];
  const dropped: { variable: string; reason: string }[] = [];
  for (const variable of trainedVariables(names)) {
    const reason = misfit(variable);
    if (reason === null) kept.push(variable);
    else dropped.push({ variable, reason });
  }
  const left = new Set(dropped.map(({ variable }) => variable));
  return { names: names.filter(name => !left.has(variableOf(name))), kept, dropped };

  function misfit(variable: string): string | null {
    const [before, after] = [rule(saved, variable), rule(now, variable)];
    if (changed.has(variable)) return 'the variable changed its shape or is gone';
    if (before !== after || before === undefined)
      return `trained by ${before ?? 'nothing'}, now by ${after ?? 'nothing'}`;
    if (!inSubspaces.has(variable)) return null;
    if (seedChanged) return 'its subspace was drawn from another seed';
    return sameMembers(before) ? null : 'the variables that share its subspaces changed';
  }

  function sameMembers(shared: string): boolean {
    const members = ({ rules }: Composition): string[] => Object.keys(rules).filter(name => rules[name] === shared);
    const before = members(saved);
    return `${before}` === `${members(now)}` && !before.some(name => changed.has(name));
  }
}

/** The variables that have saved state, in its order. */
export function trainedVariables(names: readonly string[]): readonly string[] {
  return [...new Set(names.map(variableOf))].filter(variable => variable !== '');
}

function rule({ rules }: Composition, variable: string): string | undefined {
  return Object.hasOwn(rules, variable) ? rules[variable] : undefined;
}
