import {
  type Combine,
  childSite,
  combineSite,
  type Described,
  type Graph,
  InvalidOptionError,
  inlineGraph,
  operandsOf,
  type Projector,
  type Rule,
  type Site,
  type SubspaceRule,
  sizeOf,
  Tracer,
  traceCombine,
  traceMeasures,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { REFRESH_INDEX } from './saved-state.js';

// What happens where a subspace has nothing of a parameter: a density that rounds to nothing, a projector that cannot work
// on the shape, a block whose turn never comes.
//
// - A group that is `optional` or `leaves`, as those of the recipes do, leaves the parameter to a later group.
// - Where a combine steps on the residual, all of the parameter is residual, and `explain()` says so.
// - Where nothing would train the parameter it is refused, unless that was asked for: a density of 0 and a table of nothing
//   are taken at their word, and so is an order of blocks that is known to leave one out.

/** Why a subspace has nothing of a parameter in any refresh. */
interface Emptiness {
  readonly reason: string;
  /** Nothing was asked for, a size came to nothing, or the turn of a block never comes. */
  readonly how: 'chosen' | 'rounded' | 'left out';
}

/**
 * Why a group with this rule should leave a parameter to a later one; null when it should keep it.
 *
 * @returns In words, and with the error of a projector that cannot work there.
 */
export function leavesToNext(rule: Rule, site: Site): { readonly note: string; readonly error: Error | null } | null {
  if (rule.type !== 'subspace') return null;
  const { projector } = rule;
  try {
    projector.check?.(site);
  } catch (error) {
    if (!(error instanceof UnsupportedShapeError || error instanceof InvalidOptionError)) throw error;
    return { note: `not in a subspace: ${sized(projector)} does not take ${shapeOf(site)}`, error };
  }
  const empty = emptinessOf(projector, site);
  return empty === null || empty.how === 'chosen' ? null : { note: `not in a subspace: ${empty.reason}`, error: null };
}

/** What `explain()` says of a rule whose subspace is empty for a parameter; null of all others. */
export function noteOn(rule: Rule, site: Site): string | null {
  if (rule.type !== 'subspace') return null;
  const empty = emptinessOf(rule.projector, site);
  if (empty === null) return null;
  const rest = whyUntrained(rule, site) === null ? 'all of it is residual' : 'it is never trained';
  return `the subspace is empty, and ${rest}: ${empty.reason}`;
}

/**
 * Checks that a rule trains something of a parameter: else it would stay as it is without a word.
 *
 * @throws UnsupportedShapeError naming the parameter, its shape, the projector and its density.
 */
export function requireTraining(rule: SubspaceRule, site: Site): void {
  const why = whyUntrained(rule, site);
  if (why?.how !== 'rounded') return;
  const { kind, rule: onResidual } = rule.combine;
  const [fate, remedy] =
    onResidual === null
      ? ['what is not in the subspace is dropped', 'combine with residual(…)']
      : [`${kind} trains nothing of the residual`, 'let the combine step on the residual, with a scale above 0'];
  throw new UnsupportedShapeError({
    parameter: `${sized(rule.projector)} at "${site.name}"`,
    found: `shape [${site.shape}]: ${why.reason}, and ${fate}`,
    expected: 'a parameter of which something is trained',
    advice: `Raise the density, ${remedy}, or give such parameters a group of their own with the plain rule.`,
  });
}

/** True for state that was saved while the subspace had nothing of the parameter. */
export function isOfEmptySubspace(entries: ReadonlyMap<string, unknown>): boolean {
  return entries.has(REFRESH_INDEX) && ![...entries.keys()].some(path => /^(rule|basis)\//.test(path));
}

/** Why a projector has nothing of a parameter, at a site that its `check` lets pass. */
function emptinessOf(projector: Projector, site: Site): Emptiness | null {
  const isChosen = sizeOption(projector)?.size === 0 || projector.kind === 'given';
  const reduced = projector.reducedShape(site, 0);
  if (reduced !== null && sizeOf(reduced) > 0) return null;
  if (isChosen) return { reason: sized(projector), how: 'chosen' };
  if (reduced !== null) return { reason: `${sized(projector)} comes to nothing of ${shapeOf(site)}`, how: 'rounded' };
  const reason = projector.leavesOut?.(site) ?? null;
  return reason === null ? null : { reason, how: 'left out' };
}

/** Why nothing of a parameter is ever trained; null when something is. */
function whyUntrained(rule: Rule, site: Site): Emptiness | null {
  if (rule.type !== 'subspace') return null;
  const { projector, combine } = rule;
  let why = emptinessOf(projector, site);
  if (why === null) {
    // A block is whole when its turn comes.
    const reduced = projector.reducedShape(site, 0) ?? site.shape;
    why = whyUntrained(rule.rule, childSite(site, 'rule', reduced));
  }
  if (why === null) return null;
  const reads = inputsThatMatter(ofNothing(combine, site));
  if (reads.has('g') || reads.has('residual')) return null;
  if (combine.rule === null || !reads.has('residualDirection')) return why;
  return whyUntrained(combine.rule, childSite(site, 'residual', site.shape)) === null ? null : why;
}

/** The direction of a combine where the subspace has nothing: what it would lift or measure is 0. */
function ofNothing(combine: Combine, { shape }: Site): Graph {
  const where = combineSite(shape);
  const measures = Object.keys(traceMeasures(combine, where)?.outputs ?? {});
  const nothing = Object.fromEntries(['lifted', ...measures].map(name => [name, 0]));
  const tracer = new Tracer();
  const { direction } = inlineGraph(tracer, traceCombine(combine, shape, where), nothing);
  return tracer.graph({ direction: direction! }, { direction: 'element' });
}

/** Names of the inputs that a graph reads other than times 0. */
function inputsThatMatter({ nodes, outputs }: Graph): ReadonlySet<string> {
  const isZero = (id: number): boolean => {
    const node = nodes[id]!;
    return node.op === 'constant' && node.value === 0;
  };
  const names = new Set<string>();
  const seen = new Set<number>();
  const visit = (id: number): void => {
    if (seen.has(id)) return;
    seen.add(id);
    const node = nodes[id]!;
    if (node.op === 'input') names.add(node.name);
    const operands = operandsOf(node);
    if (node.op !== 'mul' || !operands.some(isZero)) operands.forEach(visit);
  };
  for (const { node } of Object.values(outputs)) visit(node);
  return names;
}

/** A projector with its size, such as `columns(density 0.25)`. */
function sized(projector: Described): string {
  const size = sizeOption(projector);
  return size === null ? projector.kind : `${projector.kind}(${size.name} ${size.size})`;
}

/** The density or rank of a projector, or of the one that it wraps. */
function sizeOption({ options }: Described): { readonly name: string; readonly size: number } | null {
  for (const name of ['density', 'rank']) {
    const size = options[name];
    if (typeof size === 'number') return { name, size };
  }
  const inner = options['projector'] as Partial<Described> | undefined;
  return typeof inner === 'object' && inner?.options !== undefined ? sizeOption(inner as Described) : null;
}

function shapeOf({ shape }: Site): string {
  return shape.length === 0 ? 'a scalar' : shape.join('×');
}
