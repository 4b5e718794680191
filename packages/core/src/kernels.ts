import { engine, type KernelBackend, type Tensor } from '@tensorflow/tfjs-core';
import { UnsupportedBackendError } from './errors.js';
import type { Graph } from './graph/graph.js';
import type { Shape } from './slots.js';

/** Tensors and numbers by the names a graph gives them. */
export type KernelInputs = Readonly<Record<string, Tensor | number>>;

/** How coordinate projectors share a parameter out among tiers: by rows, by columns or entry by entry. */
export type SplitAxis = 'row' | 'column' | 'element';

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
  /** Tensors of one number that the graph reads, by input name. Given only by who got them from a {@link FiniteCheck}. */
  readonly shared?: Readonly<Record<string, Tensor>>;
}

/** A gradient, and the number by which a {@link FiniteCheck} speaks of it. */
export interface NumberedGradient {
  readonly id: number;
  readonly gradient: Tensor;
}

/** What a check looks for in the gradients of an update. */
export interface CheckLimits {
  /** Entries are limited to ± this before the norm is taken. */
  readonly clipValue?: number;
  /** Largest norm of all gradients together. */
  readonly globalNorm?: number;
  /**
   * What NaN or Inf in a gradient does. `ignore`: nothing. `skip`: the update is skipped. `halt`: so are all later ones,
   * until {@link FiniteCheck.resume}.
   */
  readonly onNonFinite: 'ignore' | 'skip' | 'halt';
}

/** What a check finds, as tensors of shape [] on the device. They belong to the caller. */
export interface CheckResult {
  /** min(1, globalNorm / (‖all gradients‖ + 1e-6)); `null` without a norm to limit. */
  readonly factor: Tensor | null;
  /** 1 when the update is to happen, 0 when parameters and state must stay as they are; `null` when nothing is checked. */
  readonly proceed: Tensor | null;
}

/** What became of all updates that were checked for NaN and Inf. */
export interface CheckReport {
  /** Updates that were skipped. */
  readonly skipped: number;
  /** The first gradient that was not finite in the update that halted; `null` while there is none. */
  readonly halted: number | null;
  /** For each update checked since the last report, the earliest first: whether it was skipped. */
  readonly latest: readonly boolean[];
}

/**
 * Looks for NaN and Inf in gradients without reading anything back: the device goes on while the result is on its way to
 * the host. For backends on which a synchronous read stalls or fails.
 */
export interface FiniteCheck {
  check(gradients: readonly NumberedGradient[], limits: CheckLimits): CheckResult;
  /** The state of affairs after all updates checked so far, as soon as the device has come to it. */
  report(): Promise<CheckReport>;
  /** Lets updates happen again after a halt. */
  resume(): void;
  dispose(): void;
}

/** What holds of a tfjs backend, whatever runs on it. Code above the backends asks for these and never for a name. */
export interface BackendTraits {
  /** `dataSync()` neither throws nor stalls, so that a number that an update depends on may be read back. */
  readonly readsAtOnce: boolean;
  /** `data()` hands out memory that the tensor goes on using: what must not change has to be copied. */
  readonly sharesMemory: boolean;
  /** Where bases are computed by default: in JavaScript and WebAssembly, or by tfjs operations. */
  readonly refreshesOn: 'host' | 'device';
  /** {@link KernelSet.run} can work on a part of tensors that are larger than the shape it is given. */
  readonly startsWithin: boolean;
}

/**
 * What a backend can run faster than the reference interpreter. Everything here computes exactly what {@link Graph}
 * means; a fused kernel and the interpreter differ in float32 rounding only.
 */
export interface KernelSet {
  /** What runs a graph, for `explain()`. */
  readonly description: string;
  /** What holds of its backend. */
  readonly traits: BackendTraits;
  /**
   * Why this kernel set cannot run a graph; `null` when it can.
   *
   * @param lists How many index lists tell its entries from those of other tiers of a split. Default 0.
   */
  refusal(graph: Graph, lists?: number): string | null;
  /**
   * Runs a graph.
   *
   * @param overwrite For each output that may be written over an input: the name of that input. The tensor given for it
   *   then holds the result and is also what is returned. The caller makes sure that nobody else holds its buffer.
   * @param starts For each input of which only a part is meant: how many entries come before the first one that `shape`
   *   covers. Only for kernel sets with the trait `startsWithin`, and for graphs without reductions.
   * @returns One tensor per output; those not overwritten are new and belong to the caller.
   */
  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
    starts?: Readonly<Record<string, number>>,
  ): Record<string, Tensor>;
  /** Updates a parameter and all slots in place, each tier of its entries by a graph of its own, in one pass. */
  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void;
  /** True when every entry is finite. Left out, with {@link sumSquares}, where reading a number back is not cheap. */
  isFinite?(gradient: Tensor): boolean;
  /**
   * Sum of the squares of all entries of all gradients, each entry limited to ±`clipValue` when that is given. Not
   * finite if an entry, before it is limited, is not.
   */
  sumSquares?(gradients: readonly Tensor[], clipValue: number | undefined): number;
  /** What takes the place of {@link isFinite} and {@link sumSquares}: a new check, which the caller disposes. */
  finiteCheck?(): FiniteCheck;
  /** Called after an update, so that work that was collected is handed to the device at once. */
  finish?(): void;
  /** True when nothing but this tensor (or variable) holds its buffer, so that it may be written in place. */
  isSole(tensor: Tensor): boolean;
}

const sets = sharedRegistry<() => KernelSet>('kernels', 1);

/** Makes a kernel set known for a tfjs backend; called when a backend package is imported. */
export function registerKernels(backendName: string, create: () => KernelSet): void {
  sets.set(backendName, create);
}

/** The kernel set for a tfjs backend, or `null` when only the reference interpreter is there. */
export function kernelsFor(backendName: string): KernelSet | null {
  return sets.get(backendName)?.() ?? null;
}

/**
 * The traits of the current backend: those that its kernel set declares. Where none is registered they are the careful
 * ones; a backend that can hand out its data on a GPU stalls when it is read back.
 */
export function backendTraits(): BackendTraits {
  const { backendName, backend } = engine();
  const declared = kernelsFor(backendName)?.traits;
  if (declared !== undefined) return declared;
  const readsAtOnce = !overrides(backend, 'readToGPU');
  return {
    readsAtOnce,
    sharesMemory: true,
    refreshesOn: readsAtOnce ? 'host' : 'device',
    startsWithin: false,
  };
}

/** True when a backend has a method of its own in the place of that of tfjs's base class, of which there may be copies. */
function overrides(backend: KernelBackend, method: keyof KernelBackend): boolean {
  let owner: object | null = Object.getPrototypeOf(backend);
  while (owner !== null && !Object.hasOwn(owner, method)) owner = Object.getPrototypeOf(owner);
  return owner !== null && Object.getPrototypeOf(owner) !== Object.prototype;
}

/**
 * A registry that all copies of this package in one program share: package managers may install two, and what registers
 * with one must be found through the other.
 *
 * @param name What is registered.
 * @param form Counts the incompatible forms of what is registered: raise it when its interface changes.
 */
export function sharedRegistry<Entry>(
  name: string,
  form: number,
): { get(key: string): Entry | undefined; set(key: string, entry: Entry): void } {
  const symbol = Symbol.for(`@frugaljs/${name}`);
  const holder = globalThis as { [key: symbol]: Map<string, { readonly form: number; readonly entry: Entry }> };
  holder[symbol] ??= new Map();
  const entries = holder[symbol];
  return {
    get(key) {
      const found = entries.get(key);
      if (found === undefined || found.form === form) return found?.entry;
      throw new UnsupportedBackendError({
        parameter: `${name} of the backend ${key}`,
        found: `form ${found.form}, registered by another version of frugal.js`,
        expected: `form ${form}`,
        advice: 'Install one version of all @frugaljs packages; `npm ls @frugaljs/core` shows what is there.',
      });
    },
    set(key, entry) {
      entries.set(key, { form, entry });
    },
  };
}

/**
 * Makes something once for each backend that becomes current, such as its kernel set, and forgets it with the backend.
 * What tfjs starts anew after `removeBackend` is another backend.
 *
 * @param create Makes it for the backend that is current when the returned function is called.
 */
export function perBackend<T extends object>(create: (backend: KernelBackend) => T): () => T {
  const made = new WeakMap<KernelBackend, T>();
  return () => {
    const { backend } = engine();
    let found = made.get(backend);
    if (found === undefined) {
      found = create(backend);
      made.set(backend, found);
    }
    return found;
  };
}
