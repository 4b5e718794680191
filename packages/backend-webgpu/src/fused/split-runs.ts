import { type Graph, hostValues, matrixView, neededNodes, type SplitAxis, type SplitTier } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Dispatcher, requireBindable } from '../device/dispatcher.js';
import type { TensorDevice } from '../device/tensor-device.js';
import type { Field } from '../wgsl/shader.js';
import { THREADS } from './passes.js';
import {
  listedShader,
  MARKED,
  marksShader,
  restShader,
  type SplitShader,
  type TensorKind,
  TILE,
  type TierShape,
  togetherShader,
} from './split-shader.js';

/** Where a tensor of a split is found at each step. */
interface TensorPlace {
  readonly tier: number;
  readonly name: string;
}

/** The kernels of a split, and how their tensors are found. */
interface SplitProgram {
  readonly shaders: readonly SplitShader[];
  /** By slot. */
  readonly tensors: readonly TensorPlace[];
  /** Slots of the tensors that are written. */
  readonly written: ReadonlySet<number>;
}

/** Updates split parameters, with kernels that are planned once per split. */
export class SplitRuns {
  private readonly device: TensorDevice;
  private readonly marks: ListMarks;
  private readonly programs = new WeakMap<Graph, SplitProgram>();

  constructor(private readonly dispatcher: Dispatcher) {
    this.device = dispatcher.device;
    this.marks = new ListMarks(dispatcher);
  }

  run(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const program = this.programFor(axis, w, g, tiers);
    const [rows, columns] = matrixView(w.shape);
    const buffers = program.tensors.map(({ tier, name }) => this.device.buffer(tensorOf(name, w, g, tiers[tier]!)));
    const lists = tiers.slice(0, -1).map(({ indices }) => indices!);
    const length = { row: rows, column: columns, element: w.size }[axis];
    const marks = this.marks.of(w, lists, length);
    const hosts = tiers.map(({ graph, scalars }) => hostValues(graph, scalars));
    const numbers: Record<string, number> = { rows, columns, size: w.size };
    lists.forEach((list, i) => {
      numbers[`count ${i}`] = list.size;
    });
    const numberFor = ({ source }: Field): number =>
      source.from === 'node' ? hosts[source.tier]![source.id]! : numbers[(source as { name: string }).name]!;
    for (const { shader, lists: bindings, slots, over, width } of program.shaders) {
      const bound = bindings.map(({ tier, as }) => (as === 'marks' ? marks[tier]! : this.device.buffer(lists[tier]!)));
      bound.push(...slots.map(slot => buffers[slot]!));
      requireBindable(this.dispatcher.limits, bound, w.shape);
      const count = over === 'all' ? length : lists[over]!.size;
      numbers['columns'] = columns / width;
      numbers['size'] = w.size / width;
      const across = { row: columns / width, column: over === 'all' ? columns / width : count, element: count / width };
      const down = { row: count, column: rows, element: 1 }[axis];
      const [x, y] = axis === 'element' ? [THREADS, 1] : TILE;
      this.dispatcher.dispatchGrid(
        shader,
        bound,
        [Math.ceil(across[axis] / x), Math.ceil(down / y)],
        numbers,
        numberFor,
      );
    }
    for (const slot of program.written) {
      const { tier, name } = program.tensors[slot]!;
      this.device.wasWritten(tensorOf(name, w, g, tiers[tier]!));
    }
  }

  private programFor(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): SplitProgram {
    const last = tiers[tiers.length - 1]!;
    let program = this.programs.get(last.graph);
    if (program === undefined) {
      program = planSplit(axis, w, g, tiers, this.dispatcher.limits);
      this.programs.set(last.graph, program);
    }
    return program;
  }
}

function tensorOf(name: string, w: Tensor, g: Tensor, tier: SplitTier): Tensor {
  if (name === 'w') return w;
  return name === 'g' ? g : (tier.compact[name] ?? tier.full[name] ?? tier.shared![name])!;
}

/**
 * Plans a split: one kernel for all tiers, or one for each where all together would bind more buffers than the device
 * can, or where the device takes all branches that any thread takes and so gains from kernels without.
 */
function planSplit(
  axis: SplitAxis,
  w: Tensor,
  g: Tensor,
  tiers: readonly SplitTier[],
  { buffers, branches }: { readonly buffers: number; readonly branches: boolean },
): SplitProgram {
  const tensors: TensorPlace[] = [];
  const slotsByData = new Map<object, number>();
  const written = new Set<number>();
  const shapes = tiers.map((tier, i): TierShape => {
    const slots = new Map<string, number>();
    const kinds = new Map<string, TensorKind>();
    for (const name of usedNames(tier.graph)) {
      const { dataId } = tensorOf(name, w, g, tier);
      let slot = slotsByData.get(dataId);
      if (slot === undefined) {
        slot = tensors.length;
        slotsByData.set(dataId, slot);
        tensors.push({ tier: i, name });
      }
      slots.set(name, slot);
      kinds.set(
        name,
        tier.compact[name] !== undefined ? 'compact' : tier.shared?.[name] !== undefined ? 'shared' : 'full',
      );
      if (Object.hasOwn(tier.graph.outputs, name)) written.add(slot);
    }
    return { tier: i, graph: tier.graph, slots, kinds };
  });
  const listed = tiers.length - 1;
  const columns = w.shape[w.shape.length - 1] ?? 1;
  const width = axis === 'row' && columns % 4 === 0 ? 4 : 1;
  if (branches && tensors.length + listed <= buffers) {
    return { shaders: [togetherShader(axis, listed, shapes, written, width)], tensors, written };
  }
  const rest = shapes[listed]!;
  const isWide = (axis === 'element' ? w.size : columns) % 4 === 0;
  const shaders = [
    ...shapes.slice(0, listed).map(shape => listedShader(axis, shape, written, width)),
    axis === 'row' || !isWide
      ? togetherShader(axis, listed, [rest], written, width)
      : restShader(axis, listed, rest, written),
  ];
  return { shaders, tensors, written };
}

/** Names of the tensors that a graph reads for its outputs, or writes. */
function usedNames(graph: Graph): readonly string[] {
  const outputs = Object.values(graph.outputs).map(({ node }) => node);
  const read = neededNodes(graph.nodes, outputs).flatMap(id => {
    const node = graph.nodes[id]!;
    return node.op === 'input' ? [node.name] : [];
  });
  return [...new Set([...read, ...Object.keys(graph.outputs)])];
}

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
class ListMarks {
  private readonly byParameter = new WeakMap<object, readonly Marked[]>();

  constructor(private readonly dispatcher: Dispatcher) {}

  /** @param length How many there are to select from. */
  of(parameter: Tensor, lists: readonly Tensor[], length: number): readonly GPUBuffer[] {
    const known = this.byParameter.get(parameter.dataId) ?? [];
    const isSame = known.length === lists.length && known.every(({ list }, i) => list === lists[i]!.dataId);
    if (isSame) return known.map(({ buffer }) => buffer);
    const { device } = this.dispatcher;
    const marked = lists.map(list => ({ list: list.dataId, buffer: this.mark(list, length) }));
    this.byParameter.set(parameter.dataId, marked);
    if (known.length > 0) device.submit();
    for (const { buffer } of known) buffer.destroy();
    return marked.map(({ buffer }) => buffer);
  }

  private mark(list: Tensor, length: number): GPUBuffer {
    const { device } = this.dispatcher;
    const words = Math.ceil(length / MARKED);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    const buffer = device.device.createBuffer({ label: 'marks of an index list', size: words * WORD_BYTES, usage });
    const numbers: Record<string, number> = { count: list.size, words };
    const numberFor = ({ source }: Field): number => numbers[(source as { readonly name: string }).name]!;
    const buffers = [device.buffer(list), buffer];
    this.dispatcher.dispatchGrid(marksShader, buffers, [Math.ceil(words / THREADS), 1], numbers, numberFor);
    return buffer;
  }
}
