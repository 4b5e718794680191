import { InvalidExpressionError } from './errors.js';
import type { Graph, NodeExtent } from './expression/graph.js';
import { Tracer } from './expression/tracer.js';
import type { Operand, Value } from './expression/value.js';
import { type ExpressionRule, RESERVED_NAMES } from './expression-rule.js';
import type { Combine } from './rule.js';
import type { Shape } from './shape.js';
import type { Extent, SlotSpec } from './slots.js';

/**
 * Runs a rule's `step` on symbolic values. The graph's inputs are `g`, `parameter` and the slots; its outputs are
 * `direction` and the next value of every slot.
 *
 * @param scalarsPer With an extent, the per-step numbers become inputs of that extent: one number per row, column or
 *   element instead of one for all, for state whose parts have taken different numbers of steps.
 */
export function traceRule(rule: ExpressionRule, shape: Shape, scalarsPer: NodeExtent = 'host'): Graph {
  const slots = rule.state(shape);
  const scalars = Object.keys(rule.scalars?.(1, shape) ?? {});
  checkNames(rule.kind, [...Object.keys(slots), ...scalars], RESERVED_NAMES);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = { g: tracer.input('g', 'element'), ...slotInputs(tracer, slots) };
  if (rule.readsParameter) inputs['parameter'] = tracer.input('parameter', 'element');
  for (const name of scalars)
    inputs[name] = scalarsPer === 'host' ? tracer.scalar(name) : tracer.input(name, scalarsPer);
  const outputs = rule.step(inputs as Parameters<typeof rule.step>[0], shape);
  return finish(tracer, `${rule.kind}.step`, slots, outputs);
}

const COMBINE_INPUTS = ['g', 'lifted', 'residual', 'residualDirection'] as const;

/** Runs a combine's `apply` on symbolic values; outputs as for {@link traceRule}. */
export function traceCombine(combine: Combine, shape: Shape): Graph {
  const slots = combine.state(shape);
  checkNames(combine.kind, Object.keys(slots), [...COMBINE_INPUTS, 'direction']);
  const tracer = new Tracer();
  const inputs: Record<string, Value> = slotInputs(tracer, slots);
  for (const name of COMBINE_INPUTS) inputs[name] = tracer.input(name, 'element');
  const outputs = combine.apply(inputs as Parameters<typeof combine.apply>[0]);
  return finish(tracer, `${combine.kind}.apply`, slots, outputs);
}

function slotInputs(tracer: Tracer, slots: Readonly<Record<string, SlotSpec>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(slots).map(([name, slot]) => [name, tracer.input(name, slot.extent)]));
}

function checkNames(kind: string, names: readonly string[], reserved: readonly string[]): void {
  const bad = names.find((name, i) => reserved.includes(name) || name.includes('/') || names.indexOf(name) !== i);
  if (bad !== undefined) {
    throw new InvalidExpressionError({
      parameter: `${kind}.state`,
      found: bad,
      expected: `slot and scalar names that are distinct, without "/" and none of ${reserved.join(', ')}`,
    });
  }
}

function finish(
  tracer: Tracer,
  method: string,
  slots: Readonly<Record<string, SlotSpec>>,
  outputs: Readonly<Record<string, Operand>>,
): Graph {
  const extents: Record<string, Extent> = { direction: 'element' };
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
