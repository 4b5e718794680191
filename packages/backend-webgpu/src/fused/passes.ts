import {
  blockSize,
  blockSizes,
  type Extent,
  type Graph,
  needsMatrixView,
  type Shape,
  sizeOf,
  slotShape,
} from '@frugaljs/core';
import { GraphBody, type Sources } from '../wgsl/graph-body.js';
import { type Access, FLOAT, type Shader, ShaderWriter, type Width } from '../wgsl/shader.js';

/** Threads of a workgroup. */
export const THREADS = 256;

/** One kernel of a run. */
export interface Pass {
  readonly shader: Shader;
  /** Slots of the bound tensors; -1 for the scratch memory. */
  readonly slots: readonly number[];
  /** What there is one thread (or one term of a sum) for. */
  readonly extent: Extent;
  /** Workgroups needed for a matrix; a pass over entries may be cut into dispatches along x. */
  readonly groups: (rows: number, columns: number) => readonly [x: number, y: number];
}

/** What all passes of a run share. */
export interface PassContext {
  readonly graph: Graph;
  /**
   * Which tensor each name stands for: inputs as `in name`, results as `out name`. Names of the same tensor share one.
   */
  readonly tensors: ReadonlyMap<string, number>;
  readonly filled: ReadonlySet<string>;
}

/** Number of entries of an extent. */
export function entriesOf(extent: Extent, shape: Shape): number {
  return sizeOf(slotShape(extent, shape));
}

/**
 * Computes and stores all outputs of one extent, one entry per thread, or four where entries are neither in rows nor in
 * columns and there are four times as many: that many fewer threads, addresses and bounds.
 */
export function writePass({ graph, tensors, filled }: PassContext, extent: Extent, width: Width = 1): Pass | null {
  const outputs = Object.entries(graph.outputs).filter(([, output]) => output.extent === extent);
  if (outputs.length === 0) return null;
  const writer = new ShaderWriter();
  const written = new Set(outputs.map(([name]) => tensors.get(`out ${name}`)!));
  const pass = new PassBuffers(tensors, writer, written, width);
  const body = new GraphBody(graph, writer, sourcesAt(pass, writer, filled), { width });
  const values = outputs.map(([, { node }]) => body.value(node, extent === 'element'));
  const stores = outputs.map(
    ([name], i) => `  ${pass.tensor(`out ${name}`, extent)}[${positionOf(extent)}] = ${values[i]};`,
  );
  const count = writer.dimension('count');
  // Division by a number of columns that is known only when the kernel runs takes longer than most steps.
  const isMatrix = extent !== 'element' || needsMatrixView(graph);
  const start = `  let at = (group.x + ${writer.dimension('base')}) * ${THREADS}u + local.x;
  if (at >= ${count}) { return; }
${isMatrix ? positionLines(writer, extent, graph) : ''}`;
  return {
    slots: pass.slots,
    shader: writer.finish([THREADS, 1], [start, body.text(), ...stores].join('\n'), width),
    extent,
    groups: (rows, columns) => [Math.ceil(entriesOf(extent, [rows, columns]) / width / THREADS), 1],
  };
}

/** Names the row and column of the entry `at` of an extent. */
function positionLines(writer: ShaderWriter, extent: Extent, graph: Graph): string {
  switch (extent) {
    case 'element': {
      const columns = writer.dimension('columns');
      return `  let row = at / ${columns};\n  let column = at - row * ${columns};\n  ${blockLine(writer, graph)}`;
    }
    case 'row':
      return '  let row = at;';
    case 'column':
      return '  let column = at;';
    case 'tensor':
      return '';
    default:
      return `  let block = at;\n  let row = at / ${writer.dimension('blocks')};`;
  }
}

/** Names the block of the row and column at hand, where a graph has blocks. */
export function blockLine(writer: ShaderWriter, graph: Graph): string {
  const [size] = blockSizes(graph);
  return size === undefined ? '' : `let block = row * ${writer.dimension('blocks')} + column / ${size}u;`;
}

/** The buffers that one kernel binds, declared as its text asks for them. */
export class PassBuffers {
  /** Tensors by their slot in {@link PassContext.tensors}; -1 is the scratch memory. */
  readonly slots: number[] = [];
  private readonly accessors = new Map<number, string>();

  constructor(
    private readonly tensors: PassContext['tensors'],
    private readonly writer: ShaderWriter,
    /** Slots that the kernel writes, and so binds for both. */
    private readonly written: ReadonlySet<number>,
    /** Entries side by side that make an element of a tensor's buffer. */
    private readonly width: Width = 1,
  ) {}

  tensor(name: string, extent: Extent): string {
    const slot = this.tensors.get(name)!;
    return this.bind(slot, this.written.has(slot) ? 'read_write' : 'read', extent === 'tensor');
  }

  scratch(): string {
    return this.bind(-1, 'read_write', false);
  }

  private bind(slot: number, access: Access, isShared: boolean): string {
    let accessor = this.accessors.get(slot);
    if (accessor === undefined) {
      accessor = this.writer.buffer(access, isShared || slot === -1 ? FLOAT[1] : FLOAT[this.width]);
      this.accessors.set(slot, accessor);
      this.slots.push(slot);
    }
    return accessor;
  }
}

/** The name of the position of the entry at hand. */
function positionOf(extent: Extent): string {
  if (blockSize(extent) !== null) return 'block';
  return extent === 'element' ? 'at' : extent === 'tensor' ? '0u' : extent;
}

/** Loads inputs and earlier results at the position at hand. */
export function sourcesAt(buffers: PassBuffers, writer: ShaderWriter, filled: ReadonlySet<string>): Sources {
  return {
    input: ({ name, extent }) =>
      filled.has(name) ? writer.filled(name) : `${buffers.tensor(`in ${name}`, extent)}[${positionOf(extent)}]`,
    reduced: ({ extent }, id) => {
      const place = extent === 'tensor' ? '' : ` + ${positionOf(extent)}`;
      return `${buffers.scratch()}[${writer.scratchOffset(id)}${place}]`;
    },
  };
}
