import type { Tensor } from '@tensorflow/tfjs-core';
import type { Graph } from './expression/graph.js';
import type { Shape } from './shape.js';

/** Tensors and numbers by the names a graph gives them. */
export type KernelInputs = Readonly<Record<string, Tensor | number>>;

/** One tier of a parameter that coordinate projectors split: the entries it takes and what happens to them. */
export interface SplitTier {
  /**
   * int32 indices of the rows, columns or flat entries of this tier, ascending; `null` for the last tier, which takes
   * all that is left.
   */
  readonly indices: Tensor | null;
  /** Computes `w` and the next value of every slot from `w`, `g` and the slots; no reductions. */
  readonly graph: Graph;
  /** Slots by input name, of the size of the tier, in the order of its indices. */
  readonly compact: Readonly<Record<string, Tensor>>;
  /** Slots by input name, of the size of the parameter. */
  readonly full: Readonly<Record<string, Tensor>>;
  readonly scalars: Readonly<Record<string, number>>;
}

/**
 * What a backend can run faster than the reference interpreter. Everything here computes exactly what {@link Graph}
 * means; a fused kernel and the interpreter differ in float32 rounding only.
 */
export interface KernelSet {
  /** What runs a graph, for `explain()`. */
  readonly description: string;
  /** Why this kernel set cannot run a graph; `null` when it can. */
  refusal(graph: Graph): string | null;
  /**
   * Runs a graph.
   *
   * @param overwrite For each output that may be written over an input: the name of that input. The tensor given for it
   *   then holds the result and is also what is returned. The caller makes sure that nobody else holds its buffer.
   * @returns One tensor per output; those not overwritten are new and belong to the caller.
   */
  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor>;
  /** Updates a parameter and all slots in place, each tier of its entries by a graph of its own, in one pass. */
  runSplit(axis: 'row' | 'column' | 'element', w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void;
  /** True when every entry is finite. */
  isFinite(gradient: Tensor): boolean;
  /**
   * Sum of the squares of all entries of all gradients, each entry limited to ±`clipValue` when that is given. Not
   * finite if an entry is not.
   */
  sumSquares(gradients: readonly Tensor[], clipValue: number | undefined): number;
  /** True when nothing but this tensor (or variable) holds its buffer, so that it may be written in place. */
  isSole(tensor: Tensor): boolean;
}

const sets = new Map<string, () => KernelSet>();

/** Makes a kernel set known for a tfjs backend; called when a backend package is imported. */
export function registerKernels(backendName: string, create: () => KernelSet): void {
  sets.set(backendName, create);
}

/** The kernel set for a tfjs backend, or `null` when only the reference interpreter is there. */
export function kernelsFor(backendName: string): KernelSet | null {
  return sets.get(backendName)?.() ?? null;
}
