import { sizeOf } from '@frugaljs/core';
import { sentence } from '../description/sentence.js';
import { bind } from '../runtime/bind.js';
import { assign } from './assignment.js';
import type { ComposeOptions, NamedShape } from './options.js';

/** What one parameter costs, in bytes. */
export interface MemoryRow {
  readonly parameter: string;
  /** Such as 128×64, or `scalar`. */
  readonly shape: string;
  readonly rule: string;
  readonly parameterBytes: number;
  /** Moments and other slots. */
  readonly slotBytes: number;
  /** Tensors that describe the subspace. */
  readonly basisBytes: number;
  /** Sum of gradients, when they are accumulated. */
  readonly accumulatorBytes: number;
  /** slotBytes + basisBytes + accumulatorBytes. */
  readonly stateBytes: number;
}

/**
 * Rows in the order of the parameters, and the sum of their state. `console.table` and `JSON.stringify` show the rows
 * alone.
 */
export type MemoryReport = readonly MemoryRow[] & { readonly totalStateBytes: number };

/**
 * What the optimizer will keep on the device after the update that follows `update` earlier ones: exact to the byte, and
 * known before the first step, since every rule and projector declares its state.
 */
export function memoryReport(options: ComposeOptions, parameters: readonly NamedShape[], update = 0): MemoryReport {
  const assigned = assign(options.groups, parameters, options.seed ?? 0);
  const sentences = options.groups.map(({ use }) => (use === undefined ? '(frozen)' : sentence(use)));
  const rows = parameters.map(({ name, shape }): MemoryRow => {
    const { group, site } = assigned.get(name)!;
    const { use, frozen = false } = options.groups[group]!;
    const planned = frozen ? [] : bind(use!, site).plan(update);
    const bytes = (role: 'slot' | 'basis'): number =>
      planned.reduce((sum, tensor) => sum + (tensor.role === role ? 4 * sizeOf(tensor.shape) : 0), 0);
    const accumulatorBytes = !frozen && (options.accumulate ?? 1) > 1 ? 4 * sizeOf(shape) : 0;
    return {
      parameter: name,
      shape: shape.length === 0 ? 'scalar' : shape.join('×'),
      rule: frozen ? '(frozen)' : sentences[group]!,
      parameterBytes: 4 * sizeOf(shape),
      slotBytes: bytes('slot'),
      basisBytes: bytes('basis'),
      accumulatorBytes,
      stateBytes: bytes('slot') + bytes('basis') + accumulatorBytes,
    };
  });
  const totalStateBytes = rows.reduce((sum, row) => sum + row.stateBytes, 0);
  // Enumerable, it would be one more row of `console.table`, and a column for its value.
  return Object.defineProperty(rows, 'totalStateBytes', { value: totalStateBytes }) as typeof rows & MemoryReport;
}
