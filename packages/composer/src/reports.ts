import { type Described, InvalidOptionError, type Json, type Refresh, sameShape, sizeOf } from '@frugaljs/core';
import { engine } from '@tensorflow/tfjs-core';
import type { BoundRule } from './bound/rules.js';
import type { PlannedTensor } from './bound/slots.js';
import { BoundSubspace, bind, followsTraining } from './bound/subspace.js';
import { noteOn } from './empty-subspace.js';
import { inCreationOrder } from './gradients.js';
import { type Assigned, assign, type TakenVariable } from './groups.js';
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
  /** Sum of gradients, when they are accumulated: from the first round to the end of the update. */
  readonly accumulatorBytes: number;
  /** slotBytes + basisBytes + accumulatorBytes. */
  readonly stateBytes: number;
  /** Why the parameter is not in a subspace that is meant for it, or has nothing here at all, where that is so. */
  readonly note?: string;
}

/**
 * Rows in the order of the parameters, the sum of their state, and when there is so much. `console.table` and
 * `JSON.stringify` show the rows alone.
 */
export type MemoryReport = MemoryPeak & {
  /** The fullest moment, which the bytes are those of. */
  readonly moment: string;
  /**
   * The same for the refresh with the most state, so at most this much is kept in the whole run: with a density by schedule
   * where that is highest, with a rank by energy at its bound, where blocks take turns the fullest of the first 32. What
   * follows from separate schedules is taken at the largest of each, also where these do not meet.
   */
  readonly peak: MemoryPeak;
};

/** Rows, and the sum of their state. */
export type MemoryPeak = readonly MemoryRow[] & { readonly totalStateBytes: number };

const AFTER_UPDATE = 'after the update';
/** The sum of the gradients goes when the update is made. */
const DURING_UPDATE =
  'during the update, and from the second on also before it; between it and the next gradients less';

/** What an optimizer knows of parameters that a report is about. */
interface Known {
  /** Where parameters are that have been trained; the others join after them. */
  readonly sites: ReadonlyMap<string, Assigned>;
  readonly taken: ReadonlyMap<string, TakenVariable>;
  /** What trains a variable, once it has been trained. */
  get(name: string): { readonly bound: BoundRule } | undefined;
}

/**
 * What the optimizer will keep on the device for the update that follows `update` earlier ones, at its fullest moment:
 * exact to the byte, and known before the first step, since every rule and projector declares its state. Where gradients
 * are accumulated their sum is there beside the state until the update is made; else it is the state after the update.
 * What lives only within the update is not counted: as large as the gradients, their mean where they are accumulated.
 *
 * What follows from training is that of the subspaces there are; where they are chosen anew in that update, or are not yet,
 * the most that it can come to.
 */
export function memoryReport(
  options: ComposeOptions,
  parameters: readonly NamedShape[],
  update: number,
  known: Known,
): MemoryReport {
  const { sites } = known;
  const isOfThese = parameters.every(({ name, shape }) => sameShape(sites.get(name)?.site.shape ?? shape, shape));
  const assigned = assign(
    options.groups,
    inCreationOrder(parameters),
    options.seed ?? 0,
    isOfThese ? sites : new Map(),
  );
  const sentences = options.groups.map(({ use }) => (use === undefined ? '(frozen)' : sentence(use)));
  const kept = parameters.map(({ name }): BoundRule | null => {
    const { group, site } = assigned.get(name)!;
    const { use, frozen = false } = options.groups[group]!;
    if (frozen || (isOfThese && takenBy(known, name) !== undefined)) return null;
    const atWork = isOfThese && followsTraining(use!) ? known.get(name)?.bound : undefined;
    return atWork ?? bind(use!, site);
  });
  const rowOf = ({ name, shape }: NamedShape, planned: readonly PlannedTensor[], isKept: boolean): MemoryRow => {
    const { group, site, note: left } = assigned.get(name)!;
    const { use, frozen = false } = options.groups[group]!;
    const taker = isOfThese ? takenBy(known, name) : undefined;
    const bytes = (role: 'slot' | 'basis'): number =>
      planned.reduce((sum, tensor) => sum + (tensor.role === role ? 4 * sizeOf(tensor.shape) : 0), 0);
    const note = taker === undefined ? (left ?? (frozen ? null : noteOn(use!, site))) : takenNote(taker);
    const accumulatorBytes = isKept && (options.accumulate ?? 1) > 1 ? 4 * sizeOf(shape) : 0;
    return {
      parameter: name,
      shape: shape.length === 0 ? 'scalar' : shape.join('×'),
      rule: frozen ? '(frozen)' : sentences[group]!,
      parameterBytes: 4 * sizeOf(shape),
      slotBytes: bytes('slot'),
      basisBytes: bytes('basis'),
      accumulatorBytes,
      stateBytes: bytes('slot') + bytes('basis') + accumulatorBytes,
      ...(note === null ? {} : { note }),
    };
  };
  const rowsOf = (plan: (bound: BoundRule) => readonly PlannedTensor[]): MemoryPeak => {
    const rows = parameters.map((parameter, i) => {
      const bound = kept[i]!;
      return rowOf(parameter, bound === null ? [] : plan(bound), bound !== null);
    });
    // Enumerable, it would be one more row of `console.table`, and a column for its value.
    const totalStateBytes = rows.reduce((sum, row) => sum + row.stateBytes, 0);
    return Object.defineProperty(rows, 'totalStateBytes', { value: totalStateBytes }) as typeof rows & MemoryPeak;
  };
  let peak: MemoryPeak | null = null;
  return Object.defineProperties(
    rowsOf(bound => bound.plan(update)),
    {
      moment: { value: (options.accumulate ?? 1) > 1 ? DURING_UPDATE : AFTER_UPDATE },
      // Computed when it is asked for, as every turn of blocks is tried.
      peak: { get: () => (peak ??= peakOf(update, kept, rowsOf)) },
    },
  ) as MemoryReport;
}

/** The rows of the fullest refresh. */
function peakOf(
  update: number,
  kept: readonly (BoundRule | null)[],
  rowsOf: (plan: (bound: BoundRule) => readonly PlannedTensor[]) => MemoryPeak,
): MemoryPeak {
  const turns = kept.flatMap(bound => (bound instanceof BoundSubspace ? bound.turns() : []));
  return [...new Set([update, ...turns])]
    .map(turn => rowsOf(bound => bound.plan(turn, true)))
    .reduce((most, rows) => (rows.totalStateBytes > most.totalStateBytes ? rows : most));
}

/** The optimizer that has taken over the variable that has this name now; undefined where none has. */
export function takenBy({ taken }: Pick<Known, 'taken'>, name: string): string | undefined {
  const lost = taken.get(name);
  return lost?.variable === engine().registeredVariables[name] ? lost?.by : undefined;
}

function takenNote(taker: string): string {
  return `another optimizer (${taker}) has taken it over: nothing is kept for it here`;
}

/** How one parameter is trained. */
export interface ExplanationRow {
  readonly parameter: string;
  readonly shape: string;
  /** The expression that trains it. */
  readonly rule: string;
  /** What runs the expression, and why. */
  readonly kernel: string;
  readonly stateBytes: number;
  /** Why the parameter is not in a subspace that is meant for it, or has nothing here at all, where that is so. */
  readonly note?: string;
}

/** Rows in the order of the parameters. */
export type Explanation = readonly ExplanationRow[];

/** @param kernelOf What runs a parameter that has been trained; undefined before its first update. */
export function explain(report: MemoryReport, kernelOf: (parameter: string) => string | undefined): Explanation {
  return report.map(({ parameter, shape, rule, stateBytes, note }) => ({
    parameter,
    shape,
    rule,
    kernel: rule === '(frozen)' ? 'none' : (kernelOf(parameter) ?? 'chosen at the first update'),
    stateBytes,
    ...(note === undefined ? {} : { note }),
  }));
}

/** A parameter that a report is asked about. tf.layers allows null in the type of its shapes. */
export interface ReportedParameter {
  readonly name: string;
  readonly shape: readonly (number | null)[];
}

/** Parameters in a list or by name, such as `model.parameters()`, or a model of tf.layers with its trainable ones. */
export type ReportedParameters =
  | readonly ReportedParameter[]
  | { readonly trainableWeights: readonly ReportedParameter[] }
  | Readonly<Record<string, Omit<ReportedParameter, 'name'>>>;

/** The parameters in a list, with shapes that are known. */
export function namedShapes(parameters: ReportedParameters): readonly NamedShape[] {
  const list = listOf(parameters);
  const wrong = list.findIndex(parameter => !isNamedShape(parameter));
  if (typeof parameters === 'object' && parameters !== null && wrong < 0) return list as readonly NamedShape[];
  throw new InvalidOptionError({
    parameter: wrong < 0 ? 'parameters' : `parameters[${wrong}]`,
    found: wrong < 0 ? parameters : list[wrong],
    expected: 'variables, such as model.trainableWeights, or their { name, shape }',
    ...(hasParameters(parameters) ? { advice: 'Pass model.parameters().' } : {}),
  });
}

function listOf(parameters: ReportedParameters): readonly ReportedParameter[] {
  if (Array.isArray(parameters)) return parameters as readonly ReportedParameter[];
  const { trainableWeights } = (parameters ?? {}) as { readonly trainableWeights?: unknown };
  if (Array.isArray(trainableWeights)) return trainableWeights as readonly ReportedParameter[];
  const named = (parameters ?? {}) as Readonly<Record<string, Omit<ReportedParameter, 'name'>>>;
  return Object.entries(named).map(([name, parameter]) => ({ name, shape: parameter?.shape }));
}

/** True for a model of `@frugaljs/llama`. */
function hasParameters(model: unknown): boolean {
  return typeof (model as { readonly parameters?: unknown } | null | undefined)?.parameters === 'function';
}

function isNamedShape(parameter: ReportedParameter | null | undefined): boolean {
  if (typeof parameter?.name !== 'string' || !Array.isArray(parameter.shape)) return false;
  return parameter.shape.every(extent => typeof extent === 'number');
}

/**
 * A part as a line of text, for example `subspace(columns(density 0.25) → adamW; residual(signSgd); every 200, reset)`.
 * Options at their defaults are left out, except sizes, once json.ts says what the defaults are.
 */
export function sentence(part: Described): string {
  const { kind, options } = part;
  if (kind === 'subspace') {
    const [projector, rule, combine] = [options['projector'], options['rule'], options['combine']].map(sentenceOf);
    const { every, growth, stagger, when } = options['refresh'] as unknown as Omit<Refresh, 'every'> & {
      every: number | null;
    };
    const times = growth === undefined ? eventOf(when) : ` × ${growth}`;
    return `subspace(${projector} → ${rule}; ${combine}; every ${every ?? '∞'}${times}${stagger ? ' staggered' : ''}, ${options['onRefresh']})`;
  }
  const defaults = defaultsOf(kind);
  const shown = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (isDescribed(value)) return [sentence(value)];
    const isSize = name === 'density' || name === 'rank';
    if (!isSize && JSON.stringify(value) === JSON.stringify(defaults[name])) return [];
    return [`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
  return shown.length === 0 ? kind : `${kind}(${shown.join(', ')})`;
}

/** What has to show for a refresh to come later or earlier. */
function eventOf(when: Refresh['when']): string {
  if (when === undefined) return '';
  if (when.measure === 'similarity') return ` × 2 while similarity ≥ ${when.atLeast}`;
  const { below, fallenTo } = when;
  const reasons = [
    below === undefined ? [] : [`energy < ${below}`],
    fallenTo === undefined ? [] : [`< ${fallenTo} of the first`],
  ];
  return ` or at ${reasons.flat().join(' or ')}`;
}

/** The options that a part of this kind has by default. */
let defaultsOf: (kind: string) => Described['options'] = () => ({});

export function leaveOutDefaults(defaults: typeof defaultsOf): void {
  defaultsOf = defaults;
}

function sentenceOf(json: Json | undefined): string {
  return isDescribed(json) ? sentence(json) : JSON.stringify(json);
}

function isDescribed(json: Json | undefined): json is { kind: string; options: Described['options'] } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && 'kind' in json && 'options' in json;
}
