import type { Tensor } from '@tensorflow/tfjs-core';
import { type Field, type Shader, ShaderWriter } from '../wgsl/shader.js';
import type { CutDispatches } from './cut-dispatches.js';
import { THREADS } from './passes.js';

/** Indices that one pair of numbers of the marks stands for. */
export const MARKED = 32;

/**
 * Turns an ascending index list into marks, with which a kernel finds in one step whether an index is in the list and
 * where: per 32 indices a bit for each, and how many come before.
 */
const marksShader: Shader = (() => {
  const writer = new ShaderWriter();
  const list = writer.buffer('read', 'i32');
  const marks = writer.buffer('read_write', 'vec2<u32>');
  const count = writer.dimension('count');
  const body = `  let word = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (word >= ${writer.dimension('words')}) { return; }
  let start = word * ${MARKED}u;
  var low = 0u;
  var high = ${count};
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(${list}[middle]) < start) { low = middle + 1u; } else { high = middle; }
  }
  var bits = 0u;
  for (var k = low; k < ${count}; k++) {
    let within = u32(${list}[k]) - start;
    if (within >= ${MARKED}u) { break; }
    bits |= 1u << within;
  }
  ${marks}[word] = vec2<u32>(bits, low);`;
  return writer.finish([THREADS, 1], body);
})();

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

  constructor(private readonly dispatches: CutDispatches) {}

  /** @param extent How many there are to select from. */
  of(parameter: Tensor, lists: readonly Tensor[], extent: number): readonly GPUBuffer[] {
    const known = this.byParameter.get(parameter.dataId) ?? [];
    const isSame = known.length === lists.length && known.every(({ list }, i) => list === lists[i]!.dataId);
    if (isSame) return known.map(({ buffer }) => buffer);
    const { device } = this.dispatches.dispatcher;
    const marked = lists.map(list => ({ list: list.dataId, buffer: this.mark(list, extent) }));
    this.byParameter.set(parameter.dataId, marked);
    if (known.length > 0) device.submit();
    for (const { buffer } of known) buffer.destroy();
    return marked.map(({ buffer }) => buffer);
  }

  private mark(list: Tensor, extent: number): GPUBuffer {
    const { device } = this.dispatches.dispatcher;
    const words = Math.ceil(extent / MARKED);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    const buffer = device.device.createBuffer({ label: 'marks of an index list', size: words * WORD_BYTES, usage });
    const numbers: Record<string, number> = { count: list.size, words };
    const numberFor = ({ source }: Field): number => numbers[(source as { readonly name: string }).name]!;
    const buffers = [device.buffer(list), buffer];
    this.dispatches.alongX(marksShader, buffers, [Math.ceil(words / THREADS), 1], numbers, numberFor);
    return buffer;
  }
}
