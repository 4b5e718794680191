import { trainingKernelNames } from '@frugaljs/backend-wasm';
import { type KernelSet, kernelsFor, registerKernels } from '@frugaljs/core';
import { engine, getBackend, type Tensor } from '@tensorflow/tfjs-core';

/** What a point that was chosen throws. */
export class InjectedFailure extends Error {
  constructor(point: number, kind: string) {
    super(`failure injected at point ${point}: ${kind}`);
    this.name = 'InjectedFailure';
  }
}

/** How long a failure lasts: one call fails, or all from it on, as in a heap that stays full. */
export type Duration = 'once' | 'from then on';

/** The functions of an object that are wrapped, by name. */
type Functions = Record<string, (...args: never[]) => unknown>;

/** Methods of a kernel set that make or write something. */
const KERNEL_METHODS: readonly (keyof KernelSet)[] = ['run', 'runSplit', 'isFinite', 'sumSquares'];

/**
 * Every place of the current backend at which something can run out: a tensor that is stored, a block of the wasm heap or
 * an array of the cpu kernels, a kernel of tfjs and a fused kernel. Counts them while it watches, and fails the one that is
 * asked for, before anything is done there.
 */
export class FailurePoints {
  private passed = 0;
  private failing: number | null = null;
  private duration: Duration = 'once';
  private isWatching = false;
  private readonly restores: (() => void)[] = [];

  /** Wraps what the current backend offers, until {@link remove}. */
  constructor() {
    const backendName = getBackend();
    const { backend } = engine();
    this.wrap(engine(), 'runKernel', args => `tfjs kernel ${String(args[0])}`);
    this.clearUpAfterTfjs(backendName === 'wasm' ? trainingKernelNames : []);
    this.wrap(backend, 'write', () => 'a tensor');
    const { wasm } = backend as { wasm?: object };
    if (wasm !== undefined) this.wrap(wasm, '_malloc', args => `${String(args[0])} bytes of the wasm heap`);
    this.wrap(Buffer, 'allocUnsafeSlow', args => `an array of ${String(args[0])} bytes`);
    const kernels = kernelsFor(backendName);
    if (kernels === null) return;
    // The registry is asked at every step, the kernel set itself may be shared with other optimizers.
    const wrapped = Object.create(kernels) as KernelSet;
    for (const method of KERNEL_METHODS) {
      if (kernels[method] !== undefined) this.wrap(wrapped, method, () => `fused kernel: ${method}`, kernels);
    }
    registerKernels(backendName, () => wrapped);
    this.restores.push(() => registerKernels(backendName, () => kernels));
  }

  /** Counts the points that `act` passes. */
  async count(act: () => Promise<void>): Promise<number> {
    this.begin(null, 'once');
    try {
      await act();
    } finally {
      this.isWatching = false;
    }
    return this.passed;
  }

  /**
   * Runs `act` with a failure at a point, counted from 1.
   *
   * @returns What it threw; null when it threw nothing.
   */
  async fail(point: number, duration: Duration, act: () => Promise<void>): Promise<unknown> {
    this.begin(point, duration);
    try {
      await act();
      return null;
    } catch (error) {
      return error;
    } finally {
      this.isWatching = false;
    }
  }

  /** Puts back what was there. */
  remove(): void {
    for (const restore of this.restores.reverse()) restore();
  }

  private begin(point: number | null, duration: Duration): void {
    this.passed = 0;
    this.failing = point;
    this.duration = duration;
    this.isWatching = true;
  }

  private pass(kind: string): void {
    if (!this.isWatching) return;
    this.passed += 1;
    const { failing } = this;
    if (failing === null) return;
    if (this.passed === failing || (this.duration === 'from then on' && this.passed > failing)) {
      throw new InjectedFailure(this.passed, kind);
    }
  }

  /**
   * Kernels of tfjs that make several buffers do not free the first when the second fails, and leave an input counted
   * once more; no tensor has them, so that nobody could free them later. What they leave is freed here, and what remains
   * was left by this library, whose own kernels are held to more.
   */
  private clearUpAfterTfjs(ours: readonly string[]): void {
    const functions = engine() as unknown as Functions;
    const { backend } = engine();
    const run = functions['runKernel']!;
    const made: object[][] = [];
    const { write } = backend;
    backend.write = (...args) => {
      const dataId = write.apply(backend, args);
      made.at(-1)?.push(dataId);
      return dataId;
    };
    functions['runKernel'] = ((name: string, inputs: Record<string, Tensor | Tensor[]>, attributes: never) => {
      const counted = Object.values(inputs)
        .flat()
        .map(each => [each?.dataId, each === undefined ? 0 : backend.refCount(each.dataId)] as const);
      made.push([]);
      try {
        return run(name as never, inputs as never, attributes);
      } catch (error) {
        if (error instanceof InjectedFailure && !ours.includes(name)) {
          for (const dataId of made.at(-1)!) backend.disposeData(dataId, true);
          for (const [dataId, count] of counted) {
            while (dataId !== undefined && backend.refCount(dataId) > count) backend.disposeData(dataId);
          }
        }
        throw error;
      } finally {
        made.pop();
      }
    }) as never;
    this.restores.push(() => {
      backend.write = write;
    });
  }

  private wrap(owner: object, name: string, kind: (args: readonly unknown[]) => string, self: object = owner): void {
    const functions = owner as Functions;
    const isOwn = Object.hasOwn(owner, name);
    const original = functions[name]!;
    functions[name] = (...args: never[]) => {
      this.pass(kind(args));
      return original.apply(self, args);
    };
    this.restores.push(() => {
      if (isOwn) functions[name] = original;
      else delete functions[name];
    });
  }
}
