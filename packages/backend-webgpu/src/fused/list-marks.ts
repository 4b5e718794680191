import type { Tensor } from '@tensorflow/tfjs-core';
import type { Dispatcher } from '../device/dispatcher.js';
import { THREADS } from './passes.js';
import { MARKED, marksShader } from './split-shader.js';

/** Bytes per {@link MARKED} indices: their bits, and how many of the list come before. */
const WORD_BYTES = 8;

interface Marked {
  readonly list: object;
  readonly buffer: GPUBuffer;
}

/**
 * The marks of the index lists of a parameter: a quarter of a byte per row, column or entry that the lists select from.
 * Made once per list on the device, and freed when the parameter gets other lists.
 */
export class ListMarks {
  private readonly byParameter = new WeakMap<object, readonly Marked[]>();

  constructor(private readonly dispatcher: Dispatcher) {}

  /**
   * @param extent How many there are to select from.
   * @param most Largest number of workgroups along a dimension.
   */
  of(parameter: Tensor, lists: readonly Tensor[], extent: number, most: number): readonly GPUBuffer[] {
    const known = this.byParameter.get(parameter.dataId) ?? [];
    const isSame = known.length === lists.length && known.every(({ list }, i) => list === lists[i]!.dataId);
    if (isSame) return known.map(({ buffer }) => buffer);
    const { device } = this.dispatcher;
    const marked = lists.map(list => ({ list: list.dataId, buffer: this.mark(list, extent, most) }));
    this.byParameter.set(parameter.dataId, marked);
    if (known.length > 0) device.submit();
    for (const { buffer } of known) buffer.destroy();
    return marked.map(({ buffer }) => buffer);
  }

  private mark(list: Tensor, extent: number, most: number): GPUBuffer {
    const { device } = this.dispatcher;
    const words = Math.ceil(extent / MARKED);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    const buffer = device.device.createBuffer({ label: 'marks of an index list', size: words * WORD_BYTES, usage });
    const groups = Math.ceil(words / THREADS);
    for (let base = 0; base < groups; base += most) {
      const numbers: Record<string, number> = { count: list.size, words, base };
      this.dispatcher.dispatch(
        marksShader,
        [device.buffer(list), buffer],
        ({ source }) => numbers[(source as { readonly name: string }).name]!,
        [Math.min(most, groups - base), 1, 1],
      );
    }
    return buffer;
  }
}
