import type { BinaryOperation, GraphNode, Reduction } from '@frugaljs/core';
import { GraphBody, wgslBinary } from '../wgsl/graph-body.js';
import { ShaderWriter } from '../wgsl/shader.js';
import { blockLine, type Pass, PassBuffers, type PassContext, sourcesAt, THREADS } from './passes.js';

/** A reduction and where its node is. */
export interface ReduceNode {
  readonly id: number;
  readonly node: GraphNode & { op: 'reduce' };
}

/** What a thread goes through: `for (var variable = from; variable < to; variable += step) { position … }`. */
interface Loop {
  readonly variable: string;
  readonly from: string;
  readonly to: string;
  readonly step: string;
  /** Names the place of the entry at hand, as far as it is not named yet. */
  readonly position: string;
}

/** Partial results, of which a thread puts the first together with those of the indices `from`, `from + step` … */
interface Parts {
  /** The partial result of an index. */
  readonly at: (index: string) => string;
  readonly first: string;
  readonly from: string;
  readonly to: string;
  readonly step: string;
}

/** A kernel that reduces, while it is written: it reads tensors or partial results, and writes to the scratch memory. */
export class ReductionKernel {
  private readonly writer = new ShaderWriter();
  private readonly buffers: PassBuffers;
  private readonly scratch: string;

  constructor(private readonly context: PassContext) {
    this.buffers = new PassBuffers(context.tensors, this.writer, new Set());
    this.scratch = this.buffers.scratch();
  }

  /** A number of the dispatch. */
  dimension(name: string): string {
    return this.writer.dimension(name);
  }

  /** Names the block of the row and column at hand, where there are blocks. */
  blockLine(): string {
    return blockLine(this.writer, this.context.graph);
  }

  /** Number of the thread at hand, in a grid that may be cut along x. */
  thread(): string {
    return `(group.x + ${this.writer.dimension('base')}) * ${THREADS}u + local.x`;
  }

  /** A number of the scratch memory that belongs to a reduction. */
  kept({ id }: ReduceNode, index: string): string {
    return `${this.scratch}[${this.writer.scratchOffset(id)} + ${index}]`;
  }

  /** Statements that run a loop over entries and keep the result of each reduction in {@link resultOf}. */
  reduce(reductions: readonly ReduceNode[], { variable, from, to, step, position }: Loop): string {
    const { graph, filled } = this.context;
    const body = new GraphBody(graph, this.writer, sourcesAt(this.buffers, this.writer, filled));
    const values = reductions.map(({ node }) => body.value(node.x));
    const infinity = this.writer.dimension('infinity');
    return [
      ...reductions.map(found => `  var ${resultOf(found)} = ${identity(found, infinity)};`),
      `  for (var ${variable} = ${from}; ${variable} < ${to}; ${variable} += ${step}) {`,
      `    ${position}`,
      body.text('    '),
      ...reductions.map((found, i) => `    ${combine(found, values[i]!)}`),
      '  }',
    ].join('\n');
  }

  /** Statements that put partial results together in {@link resultOf}. */
  fold(found: ReduceNode, { at, first, from, to, step }: Parts): string {
    return `  var ${resultOf(found)} = ${at(first)};
  for (var i = ${from}; i < ${to}; i += ${step}) { ${combine(found, at('i'))} }`;
  }

  /** The result of a whole reduction: for a mean divided by the number of entries. */
  finished(found: ReduceNode, dimension: string): string {
    const count = found.node.reduction === 'mean' ? ` / f32(${this.writer.dimension(dimension)})` : '';
    return `${resultOf(found)}${count}`;
  }

  /** The kernel with its statements. */
  finish(lines: readonly string[], groups: Pass['groups'], threads: number = THREADS): Pass {
    return {
      slots: this.buffers.slots,
      extent: 'element',
      shader: this.writer.finish([threads, 1], lines.join('\n')),
      groups,
    };
  }
}

/** The variable in which a thread reduces. */
export function resultOf({ id }: ReduceNode): string {
  return `r${id}`;
}

const COMBINING: Readonly<Record<Reduction, BinaryOperation>> = {
  sum: 'add',
  mean: 'add',
  max: 'maximum',
  min: 'minimum',
};

function combine(found: ReduceNode, value: string): string {
  const result = resultOf(found);
  return `${result} = ${wgslBinary(COMBINING[found.node.reduction], result, value, 1)};`;
}

/** What an empty reduction gives. An infinity cannot be written in WGSL; its bits come as a uniform. */
function identity({ node: { reduction } }: ReduceNode, infinity: string): string {
  if (reduction === 'max') return `-bitcast<f32>(${infinity})`;
  return reduction === 'min' ? `bitcast<f32>(${infinity})` : '0.0';
}
