import {
  type Graph,
  hostValues,
  matrixView,
  type Shape,
  type SplitAxis,
  type SplitTier,
  sameShape,
  simplify,
  sizeOf,
  Tracer,
} from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Cell, Eager } from './eager.js';
import { Execution } from './execution.js';
import { planOf } from './steps.js';
import type { Operand, TensorFlow } from './tensorflow.js';
import { type Variables, WORTH_A_VARIABLE } from './variables.js';

/** The output that holds a direction. */
const DIRECTION = 'direction of the tier';

/** What a tier has computed for its entries of a tensor of the parameter's size. */
interface Part {
  /** Of the whole tensor; the same one may have another name in each tier. */
  readonly target: Cell;
  readonly entries: Operand;
  readonly scatter: Scatter;
}

/**
 * Updates a parameter whose entries belong to different tiers. The listed entries are gathered and updated by
 * themselves; what is left is updated with all others in one go, and the listed entries are put over it. Where all tiers
 * step alike, as they do in a composition, this may happen to their directions, and the parameter is updated once.
 */
export class Splits {
  private readonly eager: Eager;
  private readonly sharedSteps = new WeakMap<Graph, SharedStep | null>();

  constructor(private readonly tensorflow: TensorFlow) {
    this.eager = tensorflow.eager;
  }

  update(axis: SplitAxis, w: Tensor, g: Tensor, tiers: readonly SplitTier[]): void {
    const alike = this.sharedStep(tiers);
    const numbers = alike === null ? null : sharedNumbers(alike, tiers);
    const rest = tiers[tiers.length - 1]!;
    const shared = numbers === null || (axis === 'row' && savesSign(this.tensorflow, rest.graph)) ? null : alike;
    const graphOf = (tier: number): Graph => shared?.directions[tier] ?? tiers[tier]!.graph;
    const parts: Part[] = [];
    const listed: Scatter[] = [];
    const direction: Cell = { id: -1 };
    try {
      tiers.slice(0, -1).forEach((tier, i) => {
        if (tier.indices!.size === 0) return;
        const wide = { ...(shared === null || shared.readsParameter[i] ? { w } : {}), g, ...tier.full };
        const scatter = new Scatter(this.eager, this.tensorflow.variables, axis, tier.indices!, w.shape);
        listed.push(scatter);
        this.listed(scatter, wide, tier, graphOf(i), direction, parts);
      });
      const whole = this.operands({ w, g, ...rest.full, ...rest.compact });
      const fresh = this.run(graphOf(tiers.length - 1), whole, rest.scalars, w.shape);
      direction.id = fresh[DIRECTION] ?? -1;
      for (const { target, entries, scatter } of parts) {
        scatter.write(target, entries);
        this.tensorflow.ownership.record(target);
      }
      if (shared !== null) {
        const steps = { w: whole['w']!, d: { cell: direction, shape: w.shape } };
        this.run(shared.application, steps, { ...numbers }, w.shape);
      }
    } finally {
      for (const { entries } of parts) this.eager.delete(entries.cell.id);
      for (const scatter of listed) scatter.dispose();
      if (direction.id >= 0) this.eager.delete(direction.id);
    }
  }

  private sharedStep(tiers: readonly SplitTier[]): SharedStep | null {
    const key = tiers[tiers.length - 1]!.graph;
    let found = this.sharedSteps.get(key);
    if (found === undefined) {
      found = sharedStepOf(tiers.map(({ graph }) => graph));
      this.sharedSteps.set(key, found);
    }
    return found;
  }

  /** Runs a graph; every output of which the name is that of an input is written over it, others get new handles. */
  private run(
    graph: Graph,
    inputs: Readonly<Record<string, Operand>>,
    scalars: Readonly<Record<string, number>>,
    shape: Shape,
  ): Record<string, number> {
    const overwrite: Record<string, string> = {};
    for (const name of Object.keys(graph.outputs)) if (name in inputs) overwrite[name] = name;
    return new Execution(this.tensorflow, { plan: planOf(graph), inputs, scalars, shape, overwrite }).run();
  }

  private operands(tensors: Readonly<Record<string, Tensor>>): Record<string, Operand> {
    return Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => [name, { cell: this.eager.stored(tensor), shape: tensor.shape }]),
    );
  }

  /** Gathers, updates and keeps what is to be put over the rest. */
  private listed(
    scatter: Scatter,
    wide: Readonly<Record<string, Tensor>>,
    { compact, scalars }: SplitTier,
    graph: Graph,
    direction: Cell,
    parts: Part[],
  ): void {
    const shape = Object.values(compact)[0]?.shape ?? scatter.entriesShape;
    const inputs = this.operands(compact);
    const first = parts.length;
    for (const [name, tensor] of Object.entries(wide)) {
      const entries = { cell: { id: scatter.gather(this.eager.stored(tensor).id, shape) }, shape };
      this.tensorflow.ownership.record(entries.cell);
      inputs[name] = entries;
      // Kept at once, so that it is freed even if something fails.
      parts.push({ target: this.eager.stored(tensor), entries, scatter });
    }
    const { [DIRECTION]: id } = this.run(graph, inputs, scalars, shape);
    if (id !== undefined) parts.push({ target: direction, entries: { cell: { id }, shape }, scatter });
    // What was only read is put nowhere.
    const unchanged = Object.keys(wide).filter(name => !(name in graph.outputs));
    const isUnchanged = ({ entries }: Part): boolean => unchanged.some(name => inputs[name] === entries);
    for (const { entries } of parts.filter(isUnchanged)) this.eager.delete(entries.cell.id);
    parts.splice(first, Infinity, ...parts.slice(first).filter(part => !isUnchanged(part)));
  }
}

/**
 * Whether a graph adds a multiple of a sign where this takes one operation less than the sign itself. Where rows are put
 * over the rest, that is worth gathering the parameter's rows.
 */
function savesSign({ sign }: TensorFlow, graph: Graph): boolean {
  if (!sign.takesTwo) return false;
  return planOf(graph).steps.some(step => step.kind === 'accumulate' && step.sum.signOf !== null);
}

/** The graphs of the tiers of a parameter, taken apart, as they all step alike. */
interface SharedStep {
  readonly forms: readonly UpdateForm[];
  /** For each tier the graph of its direction and its slots. */
  readonly directions: readonly Graph[];
  /** Whether that graph reads the parameter. */
  readonly readsParameter: readonly boolean[];
  /** From the parameter `w` and the direction `d` of all entries to the next parameter. */
  readonly application: Graph;
}

/** `null` where tiers step differently. */
function sharedStepOf(graphs: readonly Graph[]): SharedStep | null {
  const forms: UpdateForm[] = [];
  for (const graph of graphs) {
    const form = updateFormOf(graph);
    if (form === null) return null;
    forms.push(form);
  }
  const [first, ...others] = forms;
  const isSame = others.every(
    ({ before, after }) =>
      (before === null) === (first!.before === null) && (after === null) === (first!.after === null),
  );
  if (!isSame) return null;
  const directions = graphs.map((graph, i) => simplify(directionGraph(graph, forms[i]!)));
  const readsParameter = directions.map(({ nodes }) => nodes.some(node => node.op === 'input' && node.name === 'w'));
  return { forms, directions, readsParameter, application: applicationOf(first!) };
}

/** The numbers of the update if they are the same for all tiers. */
function sharedNumbers({ forms }: SharedStep, tiers: readonly SplitTier[]): UpdateNumbers | null {
  const [first, ...others] = tiers.map(({ graph, scalars }, i) => updateNumbers(graph, forms[i]!, scalars));
  const isShared = others.every(
    ({ rate, before, after }) => rate === first!.rate && before === first!.before && after === first!.after,
  );
  return isShared ? first! : null;
}

/**
 * How a graph steps from the parameter w: w' = (w · before - direction · rate) · after, in which the factors of w may be
 * missing. All tiers of a parameter step alike, so that it is enough to put their directions together.
 */
interface UpdateForm {
  /** The node that is the direction. */
  readonly direction: number;
  /** Host nodes. */
  readonly rate: number;
  readonly before: number | null;
  readonly after: number | null;
}

/** The numbers of a form at one step; 1 for a factor that is missing. */
interface UpdateNumbers {
  readonly rate: number;
  readonly before: number;
  readonly after: number;
}

/** The form of the output `w`; `null` when it is another. */
function updateFormOf(graph: Graph): UpdateForm | null {
  const { nodes, outputs } = graph;
  const isHost = (id: number): boolean => nodes[id]!.extent === 'host';
  let after: number | null = null;
  let step = nodes[outputs['w']!.node]!;
  if (step.op === 'mul' && isHost(step.y)) {
    after = step.y;
    step = nodes[step.x]!;
  }
  if (step.op !== 'sub') return null;
  const base = nodes[step.x]!;
  const isParameter = (id: number): boolean => {
    const node = nodes[id]!;
    return node.op === 'input' && node.name === 'w';
  };
  const before = base.op === 'mul' && isParameter(base.x) && isHost(base.y) ? base.y : null;
  if (before === null && !isParameter(step.x)) return null;
  const product = nodes[step.y]!;
  if (product.op !== 'mul' || !isHost(product.y)) return null;
  return { direction: product.x, rate: product.y, before, after };
}

function updateNumbers(
  graph: Graph,
  { rate, before, after }: UpdateForm,
  scalars: Readonly<Record<string, number>>,
): UpdateNumbers {
  const values = hostValues(graph, scalars);
  const factor = (node: number | null): number => (node === null ? 1 : values[node]!);
  return { rate: values[rate]!, before: factor(before), after: factor(after) };
}

/** The same graph with the direction in the place of the new parameter. */
function directionGraph(graph: Graph, { direction }: UpdateForm): Graph {
  const { w: _, ...slots } = graph.outputs;
  return { nodes: graph.nodes, outputs: { ...slots, [DIRECTION]: { node: direction, extent: 'element' } } };
}

/** From `w` and `d` to the next `w`, by the form of all tiers. */
function applicationOf({ before, after }: UpdateForm): Graph {
  const tracer = new Tracer();
  const [w, d] = [tracer.input('w', 'element'), tracer.input('d', 'element')];
  const decayed = before === null ? w : w.mul(tracer.scalar('before'));
  const stepped = decayed.sub(d.mul(tracer.scalar('rate')));
  return tracer.graph({ w: after === null ? stepped : stepped.mul(tracer.scalar('after')) }, { w: 'element' });
}

/** Gathers and scatters the entries of a tier, which stand in some rows of a parameter, in some columns, or anywhere. */
class Scatter {
  /** Of the entries of columns, once they are asked for. */
  private columnEntries: number | null = null;

  constructor(
    private readonly eager: Eager,
    private readonly variables: Variables,
    private readonly axis: SplitAxis,
    private readonly indices: Tensor,
    /** Of the parameter. */
    private readonly shape: Shape,
  ) {}

  /** The shape of the entries. */
  get entriesShape(): Shape {
    const [rows, columns] = matrixView(this.shape);
    const { size } = this.indices;
    return this.axis === 'row' ? [size, columns] : this.axis === 'column' ? [rows, size] : [size];
  }

  /** The entries of a tensor of the parameter's shape, in a given shape. */
  gather(id: number, shape: Shape): number {
    const { eager } = this;
    const layout = this.axis === 'row' ? matrixView(this.shape) : [sizeOf(this.shape)];
    return this.viewed({ cell: { id }, shape: this.shape }, layout, whole => {
      const entries =
        this.axis === 'row'
          ? eager.run('GatherV2', [whole, eager.stored(this.indices).id, eager.int32([0], [])])
          : // Single entries are gathered faster so than along an axis.
            this.withPositions([sizeOf(this.entriesShape), 1], positions => eager.run('GatherNd', [whole, positions]));
      if (sameShape(entries.shape, shape)) return entries.id;
      const shaped = eager.reshape(entries.id, shape);
      eager.delete(entries.id);
      return shaped.id;
    });
  }

  /** Puts entries over those of a tensor that was just computed, so that nobody else knows its buffer yet. */
  write(target: Cell, entries: Operand): void {
    if (this.axis === 'row') this.writeRows(target, entries);
    else this.writeEntries(target, entries);
  }

  /** Frees what gathering and writing had to compute. */
  dispose(): void {
    if (this.columnEntries !== null) this.eager.delete(this.columnEntries);
    this.columnEntries = null;
  }

  /** Rows are written where they are. */
  private writeRows(target: Cell, entries: Operand): void {
    const { eager } = this;
    const list = eager.stored(this.indices).id;
    if (sizeOf(this.entriesShape) >= WORTH_A_VARIABLE && this.variables.scattersInPlace) {
      this.scatter(target, matrixView(this.shape), entries, this.entriesShape, list);
      return;
    }
    // This operation neither copies nor asks who else holds the buffer.
    this.viewed({ cell: target, shape: this.shape }, matrixView(this.shape), whole => {
      this.viewed(entries, this.entriesShape, rows => {
        eager.delete(eager.run('InplaceUpdate', [whole, list, rows]).id);
      });
    });
  }

  /** Single entries are written where they are, or into a copy where TensorFlow insists on one. */
  private writeEntries(target: Cell, entries: Operand): void {
    const listed = [sizeOf(entries.shape)];
    this.withPositions(listed, positions => this.scatter(target, [sizeOf(this.shape)], entries, listed, positions));
  }

  /** Writes into the target in a shape in which positions are counted along the first axis. */
  private scatter(target: Cell, layout: Shape, entries: Operand, listed: Shape, positions: number): void {
    const { eager } = this;
    const isView = !sameShape(layout, this.shape);
    const reshape = (shape: Shape): void => {
      const { id } = eager.reshape(target.id, shape);
      eager.delete(target.id);
      target.id = id;
    };
    if (isView) reshape(layout);
    try {
      this.viewed(entries, listed, values => this.variables.scatter(target, positions, values));
    } finally {
      if (isView) reshape(this.shape);
    }
  }

  /** Uses an operand in another shape, if it has not got it already. */
  private viewed<T>({ cell, shape }: Operand, wanted: Shape, use: (id: number) => T): T {
    if (sameShape(shape, wanted)) return use(cell.id);
    const view = this.eager.reshape(cell.id, wanted);
    try {
      return use(view.id);
    } finally {
      this.eager.delete(view.id);
    }
  }

  /** Flat positions of the entries, row by row, in a shape. */
  private withPositions<T>(shape: Shape, use: (id: number) => T): T {
    const { eager, indices } = this;
    const view = eager.reshape(this.axis === 'element' ? eager.stored(indices).id : this.columnPositions(), shape);
    try {
      return use(view.id);
    } finally {
      eager.delete(view.id);
    }
  }

  private columnPositions(): number {
    if (this.columnEntries !== null) return this.columnEntries;
    const { eager, indices } = this;
    const [rows, columns] = matrixView(this.shape);
    const bounds = [0, rows * columns, columns].map(bound => eager.int32([bound], []));
    const range = eager.run('Range', bounds);
    const starts = eager.reshape(range.id, [rows, 1]);
    this.columnEntries = eager.run('AddV2', [starts.id, eager.stored(indices).id]).id;
    for (const { id } of [range, starts]) eager.delete(id);
    return this.columnEntries;
  }
}
