import { InvalidExpressionError } from './errors.js';
import { describeExtent, type Graph, type NodeExtent } from './graph/graph.js';
import { type Operand, Tracer, Value } from './graph/tracer.js';
import type { Described } from './options.js';
import {
  type Averaging,
  type Combine,
  type CombineSite,
  type ExpressionRule,
  READS,
  type Read,
  requireSlots,
} from './rule.js';
import {
  type Extent,
  knownExtent,
  matrixView,
  type Shape,
  type SlotExtent,
  type SlotSpec,
  type TensorSlotSpec,
} from './slots.js';

// From methods on symbolic values to graphs: what a rule's `step`, a combine's `measure` and `apply` write down.

/**
 * Runs a rule's `step` on symbolic values. The graph's inputs are `g`, `parameter` and the slots; its outputs are
 * `direction` and the next value of every slot. A learning rate that is read is the scalar `learningRate`.
 *
 * @param scalarsPer With an extent, the per-step numbers become inputs of that extent: one number per row, column or
 *   element instead of one for all, for state whose parts have taken different numbers of steps.
 */
export function traceRule(rule: ExpressionRule, shape: Shape, scalarsPer: NodeExtent = 'host'): Graph {
  const part = {
    kind: rule.kind,
    method: 'step',
    inputs: { g: 'element' },
    slots: rule.state(shape),
    scalars: Object.keys(rule.scalars?.(1, shape) ?? {}),
    scalarsPer,
    reads: rule.reads,
  } as const;
  return traceMethod(part, inputs => rule.step(inputs as Parameters<typeof rule.step>[0], shape));
}

/** The site of a combine on a parameter of this shape, whose projector keeps this axis. */
export function combineSite(shape: Shape, kept?: CombineSite['per']): CombineSite {
  const [rows, columns] = matrixView(shape);
  const longer = rows >= columns ? 'row' : 'column';
  return { shape, per: kept ?? longer, longer };
}

/** Runs a combine's `apply` on symbolic values; outputs as for {@link traceRule}. */
export function traceCombine(combine: Combine, shape: Shape, site: CombineSite = combineSite(shape)): Graph {
  const inputs: Record<string, Extent> = {};
  const measures = traceMeasures(combine, site)?.outputs ?? {};
  for (const [name, { extent }] of Object.entries(measures)) inputs[name] = extent;
  for (const name of ['g', 'lifted', 'residual', 'residualDirection']) {
    if (Object.hasOwn(inputs, name)) throw badName(combine.kind, name, [...RESERVED_NAMES, ...Object.keys(inputs)]);
    inputs[name] = 'element';
  }
  const part = {
    kind: combine.kind,
    method: 'apply',
    inputs,
    slots: combine.state(shape),
    scalars: Object.keys(combine.scalars?.(1, shape) ?? {}),
    reads: combine.reads,
  };
  return traceMethod(part, values => combine.apply(values as Parameters<typeof combine.apply>[0], site));
}

/**
 * Runs a combine's `measure` on symbolic values: the inputs are `low` and `lowDirection`, the outputs the measures. `null` for a combine that measures nothing.
 *
 * @throws InvalidExpressionError for a measure that has more numbers than there are of `site.per`.
 */
export function traceMeasures(combine: Combine, site: CombineSite): Graph | null {
  if (combine.measure === undefined) return null;
  const tracer = new Tracer();
  const inputs = { low: tracer.input('low', 'element'), lowDirection: tracer.input('lowDirection', 'element') };
  const method = `${combine.kind}.measure`;
  const measures = run(method, tracer, inputs, [], () => combine.measure!(inputs, site));
  tracer.requireUsedComparisons(method, measures);
  const extents: Record<string, Extent> = {};
  for (const [name, value] of Object.entries(measures)) {
    const extent = value instanceof Value && value.extent !== 'host' ? value.extent : 'tensor';
    if (extent !== 'tensor' && extent !== site.per) {
      throw new InvalidExpressionError({
        parameter: `${method}: ${name}`,
        found: describeExtent(extent),
        expected: site.per === 'tensor' ? 'one value' : `one value, or one per ${site.per}`,
        advice: `Only what the projector keeps is the same in both spaces: reduce to site.per, here '${site.per}'.`,
      });
    }
    extents[name] = extent;
  }
  return tracer.graph(measures, extents);
}

/**
 * Runs `average` of a rule or a combine on symbolic values: the inputs are `parameter` and the slots, the output is
 * `weights`. `null` for a part that keeps no average.
 */
export function traceAverage(part: Averaged, shape: Shape): Graph | null {
  if (part.average === undefined) return null;
  const tracer = new Tracer();
  const inputs: Record<string, Value> = { parameter: tracer.input('parameter', 'element') };
  for (const [name, { extent }] of Object.entries(part.state(shape))) {
    if (knownExtent(extent) !== undefined) inputs[name] = tracer.input(name, extent as SlotExtent);
  }
  const method = `${part.kind}.average`;
  const weights = run(method, tracer, inputs, ['parameter'], () => part.average!(inputs as never, shape));
  const outputs = { weights: tracer.operand(weights, method) };
  tracer.requireUsedComparisons(method, outputs);
  return tracer.graph(outputs, { weights: 'element' });
}

/** What may keep an average of the weights. */
interface Averaged extends Described, Averaging {
  state(shape: Shape): Readonly<Record<string, TensorSlotSpec>>;
}

/** What a method on symbolic values is given, and what it must return. */
interface TracedMethod {
  readonly kind: string;
  readonly method: string;
  /** Inputs other than slots, by name. */
  readonly inputs: Readonly<Record<string, Extent>>;
  readonly slots: Readonly<Record<string, SlotSpec>>;
  /** Names of the per-step numbers. */
  readonly scalars: readonly string[];
  /** What there is of each per-step number; by default one, on the host. */
  readonly scalarsPer?: NodeExtent;
  readonly reads: readonly Read[] | undefined;
}

/** Names a part may not use for slots, scalars or measures. */
const RESERVED_NAMES: readonly string[] = ['g', 'direction', 'parameter', 'learningRate', 't'];

/** Runs a method that returns `direction` and the next value of every slot. */
export function traceMethod(
  { kind, method, inputs: given, slots, scalars, scalarsPer = 'host', reads }: TracedMethod,
  call: (inputs: Readonly<Record<string, Value>>) => Readonly<Record<string, Operand>>,
): Graph {
  requireSlots(kind, slots);
  const reserved = [...new Set([...RESERVED_NAMES, ...Object.keys(given)])];
  const names = [...Object.keys(slots), ...scalars];
  const bad = names.find((name, i) => reserved.includes(name) || name.includes('/') || names.indexOf(name) !== i);
  if (bad !== undefined) throw badName(kind, bad, reserved);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = {};
  for (const [name, extent] of Object.entries(given)) inputs[name] = tracer.input(name, extent);
  for (const [name, { extent }] of Object.entries(slots)) inputs[name] = tracer.input(name, extent);
  for (const name of scalars)
    inputs[name] = scalarsPer === 'host' ? tracer.scalar(name) : tracer.input(name, scalarsPer);
  const of = `${kind}.${method}`;
  return finish(
    tracer,
    of,
    slots,
    run(of, tracer, inputs, reads, () => call(inputs)),
  );
}

/**
 * Runs a method on symbolic values. What JavaScript says of a name that is not there, it says without the names there are.
 *
 * @param reads What the part declares to read: added to the inputs. Others of that kind give undefined.
 */
function run<T>(
  method: string,
  tracer: Tracer,
  inputs: Record<string, Value>,
  reads: readonly Read[] | undefined,
  call: () => T,
): T {
  let missed: Read | null = null;
  const known = [...Object.keys(inputs), ...(reads ?? [])];
  for (const name of READS) {
    const miss = (): undefined => {
      missed ??= name;
      return undefined;
    };
    if (!reads?.includes(name)) Object.defineProperty(inputs, name, { get: miss });
    else inputs[name] = name === 'parameter' ? tracer.input(name, 'element') : tracer.scalar(name);
  }
  try {
    return call();
  } catch (error) {
    const isOfOperand = error instanceof InvalidExpressionError && missed !== null;
    if (!(error instanceof TypeError) && !isOfOperand) throw error;
    const complaint = new InvalidExpressionError({
      parameter: method,
      found: missed === null ? `a ${error}` : `\`${missed}\`, which is not declared`,
      expected: `an expression of ${known.join(', ')} in the methods of values`,
      ...(missed === null ? {} : { advice: `Declare reads: ['${missed}'].` }),
    });
    throw Object.assign(complaint, { cause: error });
  }
}

function badName(kind: string, name: string, reserved: readonly string[]): InvalidExpressionError {
  return new InvalidExpressionError({
    parameter: `${kind}.state`,
    found: name,
    expected: `slot and scalar names that are distinct, without "/" and none of ${reserved.join(', ')}`,
  });
}

function finish(
  tracer: Tracer,
  method: string,
  slots: Readonly<Record<string, SlotSpec>>,
  outputs: Readonly<Record<string, Operand>>,
): Graph {
  if (typeof outputs !== 'object' || outputs === null || outputs instanceof Value) {
    throw new InvalidExpressionError({
      parameter: method,
      found: outputs instanceof Value ? 'a single value' : outputs,
      expected: `an object { ${['direction', ...Object.keys(slots)].join(', ')} }`,
      advice: 'Return the direction, and the next value of every declared slot, by name.',
    });
  }
  tracer.requireUsedComparisons(method, outputs);
  const extents: Record<string, SlotExtent> = { direction: 'element' };
  for (const [name, slot] of Object.entries(slots)) extents[name] = slot.extent;
  const missing = Object.keys(extents).filter(name => outputs[name] === undefined);
  const extra = Object.keys(outputs).filter(name => !(name in extents));
  if (missing.length > 0 || extra.length > 0) {
    throw new InvalidExpressionError({
      parameter: method,
      found: `outputs ${Object.keys(outputs).join(', ') || '(none)'}`,
      expected: `outputs ${Object.keys(extents).join(', ')}`,
      advice: 'Return the direction and the next value of every declared slot.',
    });
  }
  return tracer.graph(outputs, extents);
}
