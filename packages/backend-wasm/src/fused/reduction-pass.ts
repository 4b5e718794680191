import type { Extent, Graph } from '@frugaljs/core';
import {
  Code,
  encode,
  type FunctionScope,
  f32x4,
  i32,
  type Local,
  type Operand,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import type { DenseValues } from './dense-values.js';
import { LANE_BINARY, loadFirstLane, storeLane } from './lanes.js';
import type { Width } from './matrix-walk.js';
import { Accumulator, COMBINE, firstLaneOnly, IDENTITY } from './reductions.js';

interface ReduceNode {
  readonly id: number;
  readonly node: Extract<Graph['nodes'][number], { op: 'reduce' }>;
}

/** One pass over the elements that computes all reductions of a stage, whose operands earlier stages have made known. */
export class ReductionPass {
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
    const { scratch, walk, columns } = this.values;
    return v128.store32Lane0(i32.add(scratch.start(id), walk.rowAt), this.accumulator(id).result(columns));
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
    return i32.add(this.values.scratch.start(id), this.values.walk.columnAt);
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
