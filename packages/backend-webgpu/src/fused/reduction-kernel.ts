import type { Reduction } from '@frugaljs/core';
import { GraphBody } from '../wgsl/graph-body.js';
import { wgslCombine, wgslIdentity } from '../wgsl/operations.js';
import { ShaderWriter } from '../wgsl/shader.js';
import { PassBuffers, sourcesAt, text } from './bindings.js';
import { type Pass, type PassContext, THREADS } from './passes.js';
import type { ReduceNode } from './stages.js';

/** Results of threads that share out a row or a column, about so many at most: as scratch memory, 8 MiB. */
export const PARTIAL_RESULTS: number = 2 ** 21;

/** What a thread goes through: `for (var variable = from; variable < to; variable += step) { position … }`. */
export interface Loop {
  readonly variable: string;
  readonly from: string;
  readonly to: string;
  readonly step: string;
  /** Names the place of the entry at hand, as far as it is not named yet. */
  readonly position: string;
}

/** Partial results, of which a thread puts the first together with those of the indices `from`, `from + step` … */
export interface Parts {
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
    this.buffers = new PassBuffers(context.buffers, this.writer, new Set());
    this.scratch = this.buffers.scratch();
  }

  /** A number of the dispatch. */
  dimension(name: string): string {
    return this.writer.dimension(name);
  }

  /** Number of the thread at hand, in a grid that may be cut along x. */
  thread(): string {
    return `(group.x + ${this.writer.dimension('base')}) * ${THREADS}u + local.x`;
  }

  /** A number of the scratch memory that belongs to a reduction. */
  kept({ id }: ReduceNode, index: string): string {
    return `${this.scratch}[${this.writer.scratchOffset(id)} + ${index}]`;
  }

  /** Statements that run a loop over entries and keep the result of each reduction in {@link result}. */
  reduce(reductions: readonly ReduceNode[], { variable, from, to, step, position }: Loop): string {
    const { graph, filled } = this.context;
    const body = new GraphBody(graph, this.writer, sourcesAt(this.buffers, this.writer, filled));
    const values = reductions.map(({ node }) => body.value(node.x));
    const infinity = this.writer.dimension('infinity');
    return [
      ...reductions.map(found => `  var ${result(found)} = ${wgslIdentity(operation(found), infinity)};`),
      `  for (var ${variable} = ${from}; ${variable} < ${to}; ${variable} += ${step}) {`,
      `    ${position}`,
      text(body, '    '),
      ...reductions.map((found, i) => `    ${combine(found, values[i]!)}`),
      '  }',
    ].join('\n');
  }

  /** Statements that put partial results together in {@link result}. */
  fold(found: ReduceNode, { at, first, from, to, step }: Parts): string {
    return `  var ${result(found)} = ${at(first)};
  for (var i = ${from}; i < ${to}; i += ${step}) { ${combine(found, at('i'))} }`;
  }

  /** The result of a whole reduction: for a mean divided by the number of entries. */
  finished(found: ReduceNode, dimension: string): string {
    const count = operation(found) === 'mean' ? ` / f32(${this.writer.dimension(dimension)})` : '';
    return `${result(found)}${count}`;
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
export function result({ id }: ReduceNode): string {
  return `r${id}`;
}

function combine(found: ReduceNode, value: string): string {
  return `${result(found)} = ${wgslCombine(operation(found), result(found), value)};`;
}

function operation({ node }: ReduceNode): Reduction {
  return node.reduction;
}
