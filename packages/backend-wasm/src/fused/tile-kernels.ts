import {
  type BackendTraits,
  blockSize,
  blockSizes,
  type Extent,
  type Graph,
  type KernelInputs,
  type KernelSet,
  matrixView,
  perBackend,
  type Shape,
  type SplitAxis,
  type SplitTier,
  sizeOf,
  slotShape,
} from '@frugaljs/core';
import { type KernelBackend, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { gradientPasses, INFINITE_MAGNITUDE, RESULT_BYTES } from './gradient-passes.js';
import { refusalOf } from './graph-emitter.js';
import { denseKernelOf, numbersOf, type SplitKernel, splitKernelOf } from './kernel-cache.js';
import { KEPT } from './split-kernel.js';

/**
 * Runs expression graphs on tfjs's cpu backend: tiles of the JavaScript arrays are copied to a small WebAssembly memory,
 * computed there and copied back. Graphs with reductions, which would need more than one round of copies, are refused;
 * those to a block of neighbors need no other tile.
 *
 * On this backend `dataSync()` hands out the array of a tensor itself. New values of a parameter `w` therefore go to a
 * new array, so that values read earlier stay as they were; state, which nobody else reads, is written in place.
 */
export class TileKernels implements KernelSet {
  readonly description = 'fused WebAssembly SIMD, tile by tile';
  readonly traits: BackendTraits = {
    readsAtOnce: true,
    sharesMemory: true,
    refreshesOn: 'host',
    startsWithin: false,
  };
  private readonly arrays: CpuArrays;
  private readonly memory = new TileMemory();

  constructor(backend: KernelBackend) {
    this.arrays = new CpuArrays(backend);
  }

  refusal(graph: Graph): string | null {
    const isPlain = [...graph.nodes, ...Object.values(graph.outputs)].every(
      ({ extent }) => extent === 'element' || extent === 'host' || blockSize(extent) !== null,
    );
    return isPlain ? refusalOf(graph) : 'reductions are not fused on cpu';
  }

  run(
    graph: Graph,
    inputs: KernelInputs,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
    overwrite: Readonly<Record<string, string>>,
  ): Record<string, Tensor> {
    const { signature, program } = denseKernelOf(graph, inputs);
    const numbers = numbersOf(signature, scalars, inputs);
    const tiling = tilingOf(graph, shape);
    const extents = new Map<string, Extent>();
    for (const node of signature.graph.nodes) if (node.op === 'input') extents.set(node.name, node.extent);
    const sourceExtents = signature.inputs.map(name => extents.get(name)!);
    const targetExtents = signature.outputs.map(name => graph.outputs[name]!.extent);
    const results = Object.fromEntries(
      signature.outputs.map(name => {
        const over = overwrite[name];
        if (over !== undefined) return [name, inputs[over] as Tensor];
        const stored = slotShape(graph.outputs[name]!.extent, shape);
        return [name, tensor(unfilledFloats(sizeOf(stored)), [...stored])];
      }),
    );
    const sources = signature.inputs.map(name => this.arrays.floats(inputs[name] as Tensor));
    const targets = signature.outputs.map(name =>
      name === 'w' ? unfilledFloats(sizeOf(shape)) : this.arrays.floats(results[name]!),
    );
    // An output that is written over an input has its place in the tile too, which halves what a cache must hold.
    const places = signature.outputs.map(name => signature.inputs.indexOf(overwrite[name] ?? ''));
    const { run } = program.on(this.memory.memory);
    for (let start = 0; start < tiling.rows; start += tiling.perTile) {
      const end = Math.min(start + tiling.perTile, tiling.rows);
      this.memory.clear();
      const from = sources.map((values, i) => {
        const width = tiling.widthOf(sourceExtents[i]!);
        return this.memory.put(values.subarray(start * width, end * width));
      });
      const to = places.map((place, i) => {
        return from[place] ?? this.memory.reserve((end - start) * tiling.widthOf(targetExtents[i]!));
      });
      run(...tiling.matrix(end - start), 0, ...from, ...to, ...numbers);
      targets.forEach((values, i) => {
        const width = tiling.widthOf(targetExtents[i]!);
        values.set(this.memory.floats(to[i]!, (end - start) * width), start * width);
      });
    }
    signature.outputs.forEach((name, i) => {
      if (name === 'w') this.arrays.replace(results[name]!, targets[i]!);
    });
    return results;
  }

  runSplit(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const next = unfilledFloats(w.size);
    new TileSplit(this.arrays, this.memory, splitKernelOf(axis, tiers), axis, w, g, tiers, next).run();
    this.arrays.replace(w, next);
  }

  isFinite(gradient: Tensor): boolean {
    const { memory } = this.memory;
    const { magnitude } = gradientPasses.on(memory);
    let areFinite = true;
    this.eachTile(gradient, (result, at, count) => {
      magnitude(result, at, count);
      if (new Uint32Array(memory.buffer, result, 1)[0]! >= INFINITE_MAGNITUDE) areFinite = false;
    });
    return areFinite;
  }

  sumSquares(gradients: readonly Tensor[], clipValue: number = Number.POSITIVE_INFINITY): number {
    const { memory } = this.memory;
    const passes = gradientPasses.on(memory);
    let total = 0;
    for (const gradient of gradients) {
      let sum = 0;
      this.eachTile(gradient, (result, at, count) => {
        passes.sumSquares(result, at, count, clipValue);
        sum += new Float64Array(memory.buffer, result, 1)[0]!;
      });
      total += sum;
    }
    return total;
  }

  isSole(tensor: Tensor): boolean {
    return this.arrays.isSole(tensor);
  }

  /** Copies a gradient in, tile by tile, with room in front for the result of a pass. */
  private eachTile(gradient: Tensor, visit: (result: number, at: number, count: number) => void): void {
    const values = this.arrays.floats(gradient);
    for (let start = 0; start < values.length; start += TILE) {
      this.memory.clear();
      const result = this.memory.reserve(RESULT_BYTES / 4);
      const part = values.subarray(start, start + TILE);
      visit(result, this.memory.put(part), part.length);
    }
  }
}

/** The kernels for the current backend, which must be tfjs's cpu backend. */
export const tileKernels: () => TileKernels = perBackend(backend => new TileKernels(backend));

/** How a tensor is cut into tiles: between rows where there are blocks in them, else anywhere, as if it were a column. */
interface Tiling {
  readonly rows: number;
  readonly perTile: number;
  /** Values of an extent in each row. */
  widthOf(extent: Extent): number;
  /** What the kernel is told of so many rows. */
  matrix(height: number): readonly [rows: number, columns: number];
}

function tilingOf(graph: Graph, shape: Shape): Tiling {
  if (blockSizes(graph).length === 0) {
    return { rows: sizeOf(shape), perTile: TILE, widthOf: () => 1, matrix: height => [1, height] };
  }
  const [rows, columns] = matrixView(shape);
  return {
    rows,
    perTile: Math.max(1, Math.floor(TILE / columns)),
    widthOf: extent => slotShape(extent, [1, columns])[1]!,
    matrix: height => [height, columns],
  };
}

/** What of a tier's own tensors and indices lies in a tile. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly list: Int32Array;
  /** Subtracted from the indices. */
  readonly base: number;
}

/** Entries of an array that a tile has changed. */
interface Written {
  readonly values: Float32Array;
  readonly from: number;
  readonly at: number;
  readonly count: number;
}

/** One update of a split parameter, tile by tile. */
class TileSplit {
  private readonly rows: number;
  private readonly columns: number;
  private readonly lists: readonly Int32Array[];
  /** Indices of each list that earlier tiles have used up. */
  private readonly done: number[];

  /** @param next Where the new values of `w` go. */
  constructor(
    private readonly arrays: CpuArrays,
    private readonly memory: TileMemory,
    private readonly kernel: SplitKernel,
    private readonly axis: SplitAxis,
    private readonly w: Tensor,
    private readonly g: Tensor,
    private readonly tiers: readonly SplitTier[],
    private readonly next: Float32Array,
  ) {
    // A flat split is a single row that is cut anywhere; the others are cut between rows.
    [this.rows, this.columns] = axis === 'element' ? [w.size, 1] : matrixView(w.shape);
    this.lists = tiers.slice(0, -1).map(({ indices }) => arrays.integers(indices!));
    this.done = this.lists.map(() => 0);
  }

  run(): void {
    const perTile = Math.max(1, Math.floor(TILE / this.columns));
    for (let start = 0; start < this.rows; start += perTile) {
      this.runTile(start, Math.min(start + perTile, this.rows));
    }
  }

  private runTile(start: number, end: number): void {
    const { arrays, axis, memory, kernel, columns } = this;
    memory.clear();
    const height = end - start;
    const args = axis === 'element' ? [1, height] : [height, columns];
    args.push(memory.reserve(KEPT[axis].entries + KEPT[axis].rows * columns));
    const spans = this.lists.map((_, i) => this.span(i, start, end));
    for (const { list, base } of spans) {
      // The driver may look one index ahead at an empty list.
      const at = memory.putIntegers(list, base, Math.max(1, list.length));
      args.push(at, list.length);
    }
    const put = (values: Float32Array, from: number, to: number): number => memory.put(values.subarray(from, to));
    const wAt = put(arrays.floats(this.w), start * columns, end * columns);
    const gAt = put(arrays.floats(this.g), start * columns, end * columns);
    const back: Written[] = [];
    this.tiers.forEach((tier, i) => {
      const spec = kernel.tiers[i]!;
      for (const name of spec.tensors) {
        if (name === 'w' || name === 'g') {
          args.push(name === 'w' ? wAt : gAt);
          continue;
        }
        const compact = tier.compact[name];
        const values = arrays.floats(compact ?? tier.full[name]!);
        const [from, to] = compact === undefined ? [start * columns, end * columns] : [spans[i]!.from, spans[i]!.to];
        const known = back.find(entry => entry.values === values);
        const at = known?.at ?? put(values, from, to);
        if (known === undefined) back.push({ values, from, at, count: to - from });
        args.push(at);
      }
      args.push(...numbersOf(spec.signature, tier.scalars));
    });
    kernel.program.on(memory.memory).run(...args);
    back.push({ values: this.next, from: start * columns, at: wAt, count: height * columns });
    for (const { values, from, at, count } of back) values.set(memory.floats(at, count), from);
  }

  /** What of a tier lies in the rows from `start` to `end`, which come after those of the last call. */
  private span(i: number, start: number, end: number): Span {
    const { axis, columns } = this;
    const list = this.lists[i]!;
    if (axis === 'column') return { from: start * list.length, to: end * list.length, list, base: 0 };
    const first = this.done[i]!;
    let last = first;
    while (last < list.length && list[last]! < end) last++;
    this.done[i] = last;
    return { from: first * columns, to: last * columns, list: list.subarray(first, last), base: start };
  }
}

/** Entries of a tile: small enough for all arrays of a step to stay in the second-level cache. */
const TILE = 32768;

const PAGE = 65536;
/** Between arrays: those of a tile are equally long, and at the same place of their pages they would evict each other. */
const GAP = 320;

/** A small WebAssembly memory that is filled from its start for every tile. */
class TileMemory {
  readonly memory: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16 });
  private used = 0;

  /** Forgets what was put in. */
  clear(): void {
    this.used = 0;
  }

  /** Copies values in and returns their byte offset. */
  put(values: Float32Array): number {
    const at = this.reserve(values.length);
    this.floats(at, values.length).set(values);
    return at;
  }

  /** Copies integers in, each less `base`, with room for `capacity` of them. */
  putIntegers(values: Int32Array, base: number, capacity: number): number {
    const at = this.reserve(capacity);
    const target = new Int32Array(this.memory.buffer, at, values.length);
    for (let i = 0; i < values.length; i++) target[i] = values[i]! - base;
    return at;
  }

  /** Byte offset of room for so many 4-byte values, aligned to a vector. */
  reserve(count: number): number {
    const at = this.used;
    this.used += 16 * Math.ceil(count / 4) + GAP;
    const missing = this.used - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return at;
  }

  /** The values at a byte offset; a view that growth invalidates. */
  floats(at: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, count);
  }
}

type Values = Float32Array | Int32Array;

/** What tfjs's cpu backend keeps of a tensor. */
interface CpuBackend extends KernelBackend {
  readonly data: { get(dataId: object): { values: Values } };
}

/** The JavaScript arrays in which tfjs's cpu backend keeps its tensors. */
class CpuArrays {
  private readonly backend: CpuBackend;

  constructor(backend: KernelBackend) {
    this.backend = backend as CpuBackend;
  }

  /** The array of a float32 tensor itself. */
  floats(tensor: Tensor): Float32Array {
    return this.backend.data.get(tensor.dataId).values as Float32Array;
  }

  /** The array of an int32 tensor itself. */
  integers(tensor: Tensor): Int32Array {
    return this.backend.data.get(tensor.dataId).values as Int32Array;
  }

  /** Gives a tensor another array; whoever has read the old one keeps it as it was. */
  replace(tensor: Tensor, values: Values): void {
    this.backend.data.get(tensor.dataId).values = values;
  }

  /** True when nothing but this tensor (or variable) holds its array. */
  isSole(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1;
  }
}

/** What Node offers beside typed arrays, which always start as zeros. */
interface UnfilledBuffers {
  allocUnsafeSlow(bytes: number): Uint8Array<ArrayBuffer>;
}

const buffers = (globalThis as { Buffer?: Partial<UnfilledBuffers> }).Buffer;

/**
 * An array whose every entry will be written before it is read, and that shares its memory with nothing else. Node can
 * leave out filling it with zeros, which costs as much as the pass over it that follows.
 */
function unfilledFloats(length: number): Float32Array<ArrayBuffer> {
  if (buffers?.allocUnsafeSlow === undefined) return new Float32Array(length);
  const { buffer, byteOffset } = buffers.allocUnsafeSlow(length * Float32Array.BYTES_PER_ELEMENT);
  return new Float32Array(buffer, byteOffset, length);
}
