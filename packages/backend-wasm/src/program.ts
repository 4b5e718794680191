import { UnsupportedBackendError } from '@frugaljs/core/errors';
import type { ModuleBuilder } from '@frugaljs/wasm-assembly';

/** Byte offsets, counts and scalars go in as numbers; nothing comes back. */
export type HeapFunction = (...args: number[]) => void;

/**
 * A WebAssembly program that works in place on the tfjs heap. It is assembled on first use and instantiated once per
 * heap: the module imports the heap's memory, so it sees tensors without copies and survives the heap's growth.
 */
export class Program<Name extends string> {
  readonly #name: string;
  readonly #assemble: () => ModuleBuilder;
  readonly #instances = new WeakMap<WebAssembly.Memory, Record<Name, HeapFunction>>();

  constructor(name: string, assemble: () => ModuleBuilder) {
    this.#name = name;
    this.#assemble = assemble;
  }

  /**
   * The program's functions on this memory.
   * @throws UnsupportedBackendError if the engine has no WebAssembly SIMD.
   */
  on(memory: WebAssembly.Memory): Record<Name, HeapFunction> {
    let functions = this.#instances.get(memory);
    if (functions === undefined) {
      functions = this.#instantiate(memory);
      this.#instances.set(memory, functions);
    }
    return functions;
  }

  #instantiate(memory: WebAssembly.Memory): Record<Name, HeapFunction> {
    const shared = typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
    const bytes = this.#assemble().encode({ shared });
    if (!WebAssembly.validate(bytes)) {
      throw new UnsupportedBackendError({
        parameter: `program "${this.#name}"`,
        found: 'an engine that rejects it',
        expected: 'an engine with WebAssembly SIMD and bulk memory',
        advice: 'Use Node 20, Chrome 91, Firefox 89, Safari 16.4 or newer.',
      });
    }
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { heap: { memory } });
    return instance.exports as Record<Name, HeapFunction>;
  }
}
