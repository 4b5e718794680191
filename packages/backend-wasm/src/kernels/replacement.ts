import { UnsupportedBackendError } from '@frugaljs/core/errors';
import type { KernelConfig, KernelFunc, KernelSetupFunc, TensorInfo } from '@tensorflow/tfjs-core';
import { type TensorHeap, tensorHeap } from '../heap.js';
import { guardWasmHeap } from '../heap-guard.js';

/** What a kernel is called with. */
export interface KernelCall<Inputs, Attributes> {
  readonly inputs: Inputs;
  readonly attrs: Attributes;
  readonly heap: TensorHeap;
  /** Runs tfjs's own kernel on the same arguments. */
  tfjs(): TensorInfo;
}

/** A kernel of this package that takes the place of tfjs's, or fills a gap. */
export interface Replacement {
  readonly kernelName: string;
  /** The configuration to register, given tfjs's, if it has one. */
  configure(original: KernelConfig | undefined): KernelConfig;
}

/** Describes the replacement of a kernel of the WASM backend. */
export function replacement<Inputs, Attributes>(
  kernelName: string,
  kernel: (call: KernelCall<Inputs, Attributes>) => TensorInfo | TensorInfo[],
): Replacement {
  const configure = (original: KernelConfig | undefined): KernelConfig => {
    const kernelFunc: KernelFunc = args =>
      kernel({
        inputs: args.inputs as Inputs,
        attrs: args.attrs as Attributes,
        heap: tensorHeap(args.backend as Parameters<typeof tensorHeap>[0]),
        tfjs: () => {
          if (original === undefined) throw new Error(`tfjs has no ${kernelName} kernel for the WASM backend.`);
          return original.kernelFunc(args) as TensorInfo;
        },
      });
    // tfjs calls the setup functions of kernels when their backend becomes current, and its own kernels bind to it there.
    const setupFunc: KernelSetupFunc = backend => {
      guardWasmHeap(backend);
      original?.setupFunc?.(backend);
    };
    return { ...original, kernelName, backendName: 'wasm', kernelFunc, setupFunc };
  };
  return { kernelName, configure };
}

/**
 * Kernels of float32 alone refuse other types.
 * @throws UnsupportedBackendError
 */
export function requireFloat32(op: string, tensors: Record<string, TensorInfo | null | undefined>): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor == null || tensor.dtype === 'float32') continue;
    throw new UnsupportedBackendError({
      parameter: `${op} ${name}`,
      found: tensor.dtype,
      expected: 'float32 on the WASM backend',
      advice: "Cast it first: tf.cast(x, 'float32').",
    });
  }
}

/** A tensor that `fill` writes, given its offset; if that fails, there is none. */
export function filledOutput(heap: TensorHeap, shape: readonly number[], fill: (offset: number) => void): TensorInfo {
  const out = heap.backend.makeOutput([...shape], 'float32');
  try {
    fill(heap.offset(out));
    return out;
  } catch (error) {
    heap.backend.disposeData(out.dataId);
    throw error;
  }
}
