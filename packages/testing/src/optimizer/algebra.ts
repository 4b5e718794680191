import type { Combine, OnRefresh, Projector, Rule } from '@frugaljs/core';
import type { NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';

/** One tensor of saved state. */
export interface SavedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** An optimizer as the laws use it: that of `compose`, or one of your own with the same methods. */
export interface LawfulOptimizer {
  /** One update of the variables of these names; does not dispose the gradients. */
  applyGradients(gradients: NamedTensorMap): void;
  getWeights(): Promise<SavedTensor[]>;
  setWeights(weights: SavedTensor[]): Promise<void>;
  /**
   * Waits until nothing is read from the device any more. Optional: an optimizer that reads nothing back, or waits for it
   * in every call, has none.
   */
  settled?(): Promise<void>;
  dispose(): void;
}

export interface GroupSettings {
  readonly weightDecay?: number;
  readonly decay?: 'before' | 'after';
  readonly lrScale?: number;
  readonly decayInactive?: boolean;
}

interface Moments {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

type Density = { readonly density: number };

/**
 * The constructors that laws of optimizers build compositions from, so that the laws depend on no implementation of
 * them: pass those of `@frugaljs/composer`, `state-full`, `state-free` and `projectors`, or some of your own in their
 * place.
 */
export interface Algebra {
  compose(options: {
    readonly learningRate: number;
    readonly groups: readonly ({ readonly use: Rule } & GroupSettings)[];
    readonly seed?: number;
  }): LawfulOptimizer;
  subspace(options: {
    readonly projector: Projector;
    readonly rule: Rule;
    readonly combine?: Combine;
    readonly refresh?: { readonly every: number };
    readonly onRefresh?: OnRefresh;
  }): Rule;
  drop(): Combine;
  residual(rule: Rule, options?: { readonly scale?: number; readonly tolerance?: number }): Combine;
  readonly rules: {
    adamW(options?: Moments): Rule;
    lion(options?: { readonly beta1?: number }): Rule;
    sgdm(options?: { readonly momentum?: number; readonly convention?: 'pytorch' | 'ema' }): Rule;
    sgd(): Rule;
    signSgd(): Rule;
    /** Adam with one second moment per block. Optional: without it and `adamMini` the law of such rules is left out. */
    adaLayer?(options?: Moments & { readonly per?: 'tensor' | 'row' | 'column' }): Rule;
    /** Likewise. */
    adamMini?(options?: Moments & { readonly block?: 'tensor' | 'row' | 'column' | 'element' }): Rule;
  };
  readonly projectors: {
    rows(options: Density): Projector;
    columns(options: Density): Projector;
    randK(options: Density): Projector;
    blockwise(options: Density & { readonly order?: 'ascending' | 'descending' | 'random' }): Projector;
    svd(options: Density): Projector;
    random(options: Density): Projector;
    dct(options: Density): Projector;
    identity(): Projector;
    /** Indices or a basis per refresh. */
    given(
      options:
        | {
            readonly kind: 'rows' | 'columns' | 'randK';
            readonly indices: (name: string, refreshIndex: number) => number[];
          }
        | { readonly kind: 'right' | 'left'; readonly basis: (name: string, refreshIndex: number) => number[][] },
    ): Projector;
  };
}

/** Projectors whose residual is exact. */
export const COORDINATE = ['rows', 'columns', 'randK', 'blockwise'] as const;
/** Projectors onto linear combinations of coordinates. */
export const DENSE = ['svd', 'random', 'dct'] as const;

export type ProjectorName = (typeof COORDINATE)[number] | (typeof DENSE)[number];

/** A composition of one group. */
export function composed(
  algebra: Algebra,
  use: Rule,
  settings: GroupSettings = {},
  rate: number = RATE,
): LawfulOptimizer {
  return algebra.compose({ learningRate: rate, groups: [{ use, ...settings }], seed: 3 });
}

/** The learning rate of most laws. */
export const RATE = 0.05;
export const NEVER: { readonly every: number } = { every: Number.POSITIVE_INFINITY };
