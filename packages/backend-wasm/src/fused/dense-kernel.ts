import type { Extent, Graph, Reduction } from '@frugaljs/core';
import {
  Code,
  encode,
  type FunctionScope,
  f32x4,
  f64x2,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  type Operand,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import { DenseValues, type Width } from './dense-values.js';
import { type KernelSignature, outputParameter, signatureParameters } from './graph-emitter.js';
import {
  FIRST_LANE,
  LANE_BINARY,
  laneAnd,
  laneConstant,
  laneSelect,
  loadFirstLane,
  promoteLow,
  storeLane,
} from './lanes.js';

/**
 * A kernel that runs a graph over a matrix in memory: one pass over its elements per stage of reductions, of which the
 * last one writes. `run(rows, columns, scratch, …signature)`.
 */
export function denseKernel(signature: KernelSignature): ModuleBuilder {
  const module = new ModuleBuilder();
  const parameters = { ...integers('rows', 'columns', 'scratch'), ...signatureParameters(signature) };
  module.define('run', parameters, (locals: Readonly<Record<string, Local>>, scope) => {
    const values = new DenseValues(signature, locals, scope);
    const spare = scope.local('v128');
    const parts = [values.prepare()];
    const last = Math.max(0, ...values.stages);
    for (let stage = 0; stage < last; stage++) {
      parts.push(values.perTensor(stage), new ReductionPass(values, stage + 1, scope, spare).emit());
    }
    parts.push(
      values.perTensor(last),
      writingPass(values, name => locals[outputParameter(name)]!),
    );
    return sequence(...parts);
  });
  return module;
}

interface Output {
  readonly node: number;
  readonly extent: Extent;
  readonly address: Local;
}

/**
 * The last pass, which computes and writes the results.
 *
 * @param addressOf Where an output is to be written.
 */
function writingPass(values: DenseValues, addressOf: (name: string) => Local): Code {
  const outputs = Object.entries(values.graph.outputs).map(([name, output]) => ({
    ...output,
    address: addressOf(name),
  }));
  const of = (extent: Extent): readonly Output[] => outputs.filter(output => output.extent === extent);
  const nodes = (list: readonly Output[]): readonly number[] => list.map(({ node }) => node);
  const store = (list: readonly Output[], at: Local, width: Width): Code =>
    sequence(
      ...list.map(({ node, address }) => {
        const [target, value] = [i32.add(address, at), values.value(node)];
        return width === 'vector' ? v128.store(target, value) : storeLane(target, value, 0);
      }),
    );
  const { walk } = values;
  const [element, row, column] = [of('element'), of('row'), of('column')];
  const parts: Code[] = [];
  if (element.length > 0 || row.length > 0) {
    parts.push(
      values.eachRow(
        [...nodes(element), ...nodes(row)],
        sequence(),
        element.length === 0 ? null : width => store(element, walk.at, width),
        store(row, walk.rowAt, 'first lane'),
      ),
    );
  }
  // Values per column are still read by later rows, so they are written after all of them.
  if (column.length > 0) parts.push(values.eachColumn(nodes(column), width => store(column, walk.columnAt, width)));
  for (const { node, address } of of('tensor')) parts.push(storeLane(address, values.value(node), 0));
  return sequence(...parts);
}

interface ReduceNode {
  readonly id: number;
  readonly node: Extract<Graph['nodes'][number], { op: 'reduce' }>;
}

/** One pass over the elements that computes all reductions of a stage, whose operands earlier stages have made known. */
class ReductionPass {
  private readonly reductions: readonly ReduceNode[];
  /** For reductions per row and per tensor; those per column are accumulated in the scratch memory. */
  private readonly accumulators: ReadonlyMap<number, Accumulator>;

  /** @param spare A vector that the pass may use between two steps. */
  constructor(
    private readonly values: DenseValues,
    stage: number,
    scope: FunctionScope,
    private readonly spare: Local,
  ) {
    this.reductions = values.graph.nodes.flatMap((node, id) =>
      node.op === 'reduce' && values.stages[id] === stage ? [{ id, node }] : [],
    );
    this.accumulators = new Map(
      this.reductions
        .filter(({ node }) => node.extent !== 'column')
        .map(({ id, node }) => [id, new Accumulator(node.reduction, scope)]),
    );
  }

  emit(): Code {
    return sequence(
      ...this.to('tensor').map(({ id }) => this.accumulator(id).reset()),
      ...this.of('element', 'column').map(found => this.fillColumns(found)),
      this.throughRows(),
      this.throughColumns(),
      ...this.of('element', 'column').map(found => this.finishColumns(found)),
      ...this.to('tensor').map(({ id, node }) =>
        this.values.value(id).set(this.accumulator(id).result(this.countOf(node))),
      ),
    );
  }

  /** Reductions of values per element and per row. */
  private throughRows(): Code {
    const elementwise = this.of('element');
    const rowwise = this.of('row');
    if (elementwise.length === 0 && rowwise.length === 0) return sequence();
    const perRow = this.of('element', 'row');
    return this.values.eachRow(
      [...elementwise, ...rowwise].map(({ node }) => node.x),
      sequence(...perRow.map(({ id }) => this.accumulator(id).reset())),
      elementwise.length === 0
        ? null
        : width =>
            sequence(
              this.accumulate([...this.of('element', 'tensor'), ...perRow], width),
              ...this.of('element', 'column').map(found => this.combineColumns(found, width)),
            ),
      sequence(...perRow.map(({ id }) => this.storeRow(id)), this.accumulate(rowwise, 'first lane')),
    );
  }

  /** Reductions of values per column. */
  private throughColumns(): Code {
    const columnwise = this.of('column');
    if (columnwise.length === 0) return sequence();
    return this.values.eachColumn(
      columnwise.map(({ node }) => node.x),
      width => this.accumulate(columnwise, width),
    );
  }

  private accumulate(reductions: readonly ReduceNode[], width: Width): Code {
    return sequence(
      ...reductions.map(({ id, node }) => {
        const accumulator = this.accumulator(id);
        const x = this.values.value(node.x);
        return width === 'vector' ? accumulator.add(x) : accumulator.addFirstLane(x, this.spare);
      }),
    );
  }

  private storeRow(id: number): Code {
    const { walk, columns } = this.values;
    return v128.store32Lane0(i32.add(this.values.reducedAt(id), walk.rowAt), this.accumulator(id).result(columns));
  }

  private fillColumns({ id, node }: ReduceNode): Code {
    return this.eachColumnVector(id, address => v128.store(address, IDENTITY[node.reduction]));
  }

  private combineColumns({ id, node: { reduction, x } }: ReduceNode, width: Width): Code {
    const address = this.columnAddress(id);
    const value = this.values.value(x);
    if (width === 'vector') return v128.store(address, COMBINE[reduction](v128.load(address), value));
    return storeLane(address, COMBINE[reduction](loadFirstLane(address), firstLaneOnly(reduction, value)), 0);
  }

  /** From sums to means. */
  private finishColumns({ id, node }: ReduceNode): Code {
    if (node.reduction !== 'mean') return sequence();
    const count = f32x4.splat(new Code([...encode(this.values.rows), 0xb3]));
    return sequence(
      this.spare.set(count),
      this.eachColumnVector(id, address => v128.store(address, LANE_BINARY.div(v128.load(address), this.spare))),
    );
  }

  private eachColumnVector(id: number, visit: (address: Code) => Code): Code {
    return this.values.walk.eachColumnVector(() => visit(this.columnAddress(id)));
  }

  private columnAddress(id: number): Code {
    return i32.add(this.values.reducedAt(id), this.values.walk.columnAt);
  }

  private countOf(node: ReduceNode['node']): Operand {
    const { rows, columns } = this.values;
    const source = this.sourceOf(node);
    return source === 'row' ? rows : source === 'column' ? columns : i32.mul(rows, columns);
  }

  private of(source: Extent, per?: Extent): readonly ReduceNode[] {
    return this.reductions.filter(
      ({ node }) => this.sourceOf(node) === source && (per === undefined || node.extent === per),
    );
  }

  private to(per: Extent): readonly ReduceNode[] {
    return this.reductions.filter(({ node }) => node.extent === per);
  }

  private sourceOf(node: ReduceNode['node']): Extent | 'host' {
    return this.values.graph.nodes[node.x]!.extent;
  }

  private accumulator(id: number): Accumulator {
    return this.accumulators.get(id)!;
  }
}

/** What an empty reduction gives. */
const IDENTITY: Readonly<Record<Reduction, Code>> = {
  sum: laneConstant(0),
  mean: laneConstant(0),
  max: laneConstant(Number.NEGATIVE_INFINITY),
  min: laneConstant(Number.POSITIVE_INFINITY),
};

/** Combines two vectors lane by lane. */
const COMBINE: Readonly<Record<Reduction, (a: Operand, b: Operand) => Code>> = {
  sum: LANE_BINARY.add,
  mean: LANE_BINARY.add,
  max: LANE_BINARY.maximum,
  min: LANE_BINARY.minimum,
};

/** A vector of which only the first lane counts, with the identity of a reduction in the others. */
function firstLaneOnly(reduction: Reduction, x: Operand): Code {
  return reduction === 'sum' || reduction === 'mean'
    ? laneAnd(x, FIRST_LANE)
    : laneSelect(x, IDENTITY[reduction], FIRST_LANE);
}

/** Reduces vectors, one after the other, to one number. Sums are kept in float64. */
class Accumulator {
  private readonly parts: readonly Local[];

  constructor(
    private readonly reduction: Reduction,
    scope: FunctionScope,
  ) {
    this.parts = scope.locals('v128', this.isSum() ? 2 : 1);
  }

  reset(): Code {
    return sequence(...this.parts.map(part => part.set(this.isSum() ? v128.zero : IDENTITY[this.reduction])));
  }

  add(x: Local): Code {
    const [low, high] = this.parts as [Local, Local];
    if (!this.isSum()) return low.set(COMBINE[this.reduction](low, x));
    const upper = v128.shuffle32(x, x, [2, 3, 2, 3]);
    return sequence(low.set(f64x2.add(low, promoteLow(x))), high.set(f64x2.add(high, promoteLow(upper))));
  }

  /** The same, for a vector of which only the first lane counts. */
  addFirstLane(x: Local, scratch: Local): Code {
    return sequence(scratch.set(firstLaneOnly(this.reduction, x)), this.add(scratch));
  }

  /** The result in all lanes; `count` is the number of entries, for a mean. */
  result(count: Operand): Code {
    const [low, high] = this.parts as [Local, Local];
    if (this.isSum()) {
      const both = f64x2.add(low, high);
      const total = new Code([
        ...low.set(both).bytes,
        ...f64x2.lane(low, 0).bytes,
        ...f64x2.lane(low, 1).bytes,
        0xa0,
        ...(this.reduction === 'mean' ? [...encode(count), 0xb8, 0xa3] : []),
        0xb6,
      ]);
      return f32x4.splat(total);
    }
    const swap = (lanes: readonly [number, number, number, number]): Code =>
      low.set(COMBINE[this.reduction](low, v128.shuffle32(low, low, lanes)));
    return new Code([...swap([2, 3, 0, 1]).bytes, ...swap([1, 0, 3, 2]).bytes, ...low.bytes]);
  }

  private isSum(): boolean {
    return this.reduction === 'sum' || this.reduction === 'mean';
  }
}
