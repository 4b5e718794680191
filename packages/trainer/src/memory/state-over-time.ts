import type { ComposedOptimizer, MemoryPeak, MemoryReport, NamedShape } from '@frugaljs/composer';
import type { Json } from '@frugaljs/core';

/** The bytes of an optimizer's state, at the update where there is most of it. */
export interface StateOverTime {
  readonly stateBytes: number;
  /** Of these: moments and other slots. */
  readonly slotBytes: number;
  /** Of these: tensors that describe the subspace. */
  readonly basisBytes: number;
  /** Of these: the sum of accumulated gradients. */
  readonly accumulatorBytes: number;
  /** The most there is in the middle of an update, when blocks change one after the other; at least `stateBytes`. */
  readonly changingBytes: number;
  /** The largest tensors that describe a subspace, of one parameter. */
  readonly largestBasisBytes: number;
  /** The size of the largest parameter that has such tensors. */
  readonly largestProjectedBytes: number;
}

/** Refreshes that are looked at where the state depends on which blocks are active. */
const REFRESHES = 32;

/**
 * Asks an optimizer what it will keep: for the `peak` of its `memoryReport` or, where blocks take turns, after each of its first
 * 32 refreshes, or fewer if their order repeats. A random order may need more later than it does in these.
 *
 * Answers about a frozen list of variables are remembered.
 *
 * @throws NotSerializableError if a group of the optimizer matches by a predicate.
 */
export function stateOverTime(optimizer: ComposedOptimizer, variables: readonly NamedShape[]): StateOverTime {
  const json = optimizer.toJSON();
  // A list that may change is asked about every time.
  if (!Object.isFrozen(variables)) return worstOf(optimizer, variables, turnsOf(json));
  const key = JSON.stringify(json);
  const known = answers.get(variables) ?? new Map<string, StateOverTime>();
  answers.set(variables, known);
  const state = known.get(key) ?? worstOf(optimizer, variables, turnsOf(json));
  known.set(key, state);
  return state;
}

/** A plan asks for the same states with other batches, and a report of a large model takes a moment. */
const answers: WeakMap<readonly NamedShape[], Map<string, StateOverTime>> = new WeakMap();

function worstOf(
  optimizer: ComposedOptimizer,
  variables: readonly NamedShape[],
  turns: readonly Turns[],
): StateOverTime {
  const updates = new Set([0, ...turns.flatMap(({ every }) => Array.from({ length: REFRESHES }, (_, i) => i * every))]);
  const repeats = turns.length === 1 && turns[0]!.repeats;
  const first = optimizer.memoryReport(variables, { update: 0 });
  // Where blocks take turns each is asked for below, to know what there is between two of them.
  let most: MemoryPeak = turns.length === 0 ? first.peak : first;
  let previous = first;
  let changingBytes = 0;
  for (const update of [...updates].sort((a, b) => a - b).slice(1)) {
    const report = optimizer.memoryReport(variables, { update });
    changingBytes = Math.max(changingBytes, whileChanging(previous, report));
    if (report.totalStateBytes > most.totalStateBytes) most = report;
    previous = report;
    if (repeats && report.every((row, i) => row.stateBytes === first[i]!.stateBytes)) break;
  }
  const rows = most;
  const sum = (key: 'slotBytes' | 'basisBytes' | 'accumulatorBytes'): number =>
    rows.reduce((total, row) => total + row[key], 0);
  const projected = rows.filter(row => row.basisBytes > 0);
  return {
    stateBytes: rows.totalStateBytes,
    slotBytes: sum('slotBytes'),
    basisBytes: sum('basisBytes'),
    accumulatorBytes: sum('accumulatorBytes'),
    changingBytes: Math.max(rows.totalStateBytes, changingBytes),
    largestBasisBytes: Math.max(0, ...projected.map(row => row.basisBytes)),
    largestProjectedBytes: Math.max(0, ...projected.map(row => row.parameterBytes)),
  };
}

/** Parameters get their new state in turn; those before have it already, those after still hold the old one. */
function whileChanging(before: MemoryReport, after: MemoryReport): number {
  let bytes = before.totalStateBytes;
  let most = bytes;
  for (const [i, row] of after.entries()) {
    bytes += row.stateBytes - before[i]!.stateBytes;
    most = Math.max(most, bytes);
  }
  return most;
}

interface Turns {
  /** Updates between two refreshes. */
  readonly every: number;
  /** Whether the same blocks come again in the same order. */
  readonly repeats: boolean;
}

/** The subspaces whose size depends on the refresh, wherever they are in a composition. */
function turnsOf(json: Json | undefined): Turns[] {
  if (typeof json !== 'object' || json === null) return [];
  const { kind, options } = json as Partial<SubspaceJson>;
  const inner = Object.values(json).flatMap(value => turnsOf(value));
  if (kind !== 'subspace' || options === undefined) return inner;
  const { projector, refresh } = options;
  if (refresh.every === null || !['blockwise', 'given'].includes(projector.kind)) return inner;
  const repeats = ['ascending', 'descending', 'mirror'].includes(projector.options.order ?? '');
  return [{ every: refresh.every, repeats }, ...inner];
}

interface SubspaceJson {
  readonly kind: Json;
  readonly options: {
    readonly projector: { readonly kind: string; readonly options: { readonly order?: string } };
    readonly refresh: { readonly every: number | null };
  };
}
