import { blockSize, type Extent, type Graph } from '@frugaljs/core';
import {
  Code,
  encode,
  type FunctionScope,
  f32x4,
  i32,
  integers,
  type Local,
  ModuleBuilder,
  type Operand,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import { Accumulator, COMBINE, firstLaneOnly, IDENTITY } from './accumulators.js';
import { DenseValues } from './dense-values.js';
import { type KernelSignature, outputParameter, signatureParameters } from './graph-emitter.js';
import { LANE_BINARY, loadFirstLane, storeLane } from './lanes.js';
import type { Width } from './matrix-walk.js';

/**
 * A kernel that runs a graph over a matrix in memory: one pass over its elements per stage of reductions, of which the
 * last one writes. Reductions to a block need no pass of their own. `run(rows, columns, scratch, …signature)`.
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
        const [target, value] = [i32.add(address, at), values.valuePerElement(node)];
        return width === 'vector' ? v128.store(target, value, values.walk.offset) : storeLane(target, value, 0);
      }),
    );
  const { walk } = values;
  const [element, row, column] = [of('element'), of('row'), of('column')];
  const block = outputs.filter(({ extent }) => blockSize(extent) !== null);
  const storeBlocks = (width: Width): Code =>
    sequence(
      ...block.map(({ node, address }) => {
        const [target, value] = [i32.add(address, walk.blockAt), values.value(node)];
        return width === 'vector' && walk.hasFour ? v128.store(target, value) : storeLane(target, value, 0);
      }),
    );
  const parts: Code[] = [];
  if (element.length > 0 || row.length > 0 || block.length > 0) {
    parts.push(
      values.eachRow({
        targets: [...nodes(element), ...nodes(row), ...nodes(block)],
        each: element.length === 0 ? null : width => store(element, walk.at, width),
        eachBlock: block.length === 0 ? null : storeBlocks,
        after: store(row, walk.rowAt, 'first lane'),
      }),
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

/** What there is one value for among the operands of a pass. */
type Source = 'element' | 'row' | 'column' | 'tensor' | 'host' | 'block';

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
      node.op === 'reduce' && blockSize(node.extent) === null && values.stages[id] === stage ? [{ id, node }] : [],
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

  /** Reductions of values per element, block and row. */
  private throughRows(): Code {
    const [elementwise, blockwise, rowwise] = [this.of('element'), this.of('block'), this.of('row')];
    const sources = [...elementwise, ...blockwise, ...rowwise];
    if (sources.length === 0) return sequence();
    const perRow = [...elementwise, ...blockwise].filter(({ node }) => node.extent === 'row');
    return this.values.eachRow({
      targets: sources.map(({ node }) => node.x),
      before: sequence(...perRow.map(({ id }) => this.accumulator(id).reset())),
      each:
        elementwise.length === 0
          ? null
          : width =>
              sequence(
                this.accumulate([...this.of('element', 'tensor'), ...this.of('element', 'row')], width),
                ...this.of('element', 'column').map(found => this.combineColumns(found, width)),
              ),
      eachBlock:
        blockwise.length === 0
          ? null
          : width => this.accumulate(blockwise, this.values.walk.hasFour ? width : 'first lane'),
      after: sequence(...perRow.map(({ id, node }) => this.storeRow(id, node)), this.accumulate(rowwise, 'first lane')),
    });
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

  private storeRow(id: number, node: ReduceNode['node']): Code {
    const { walk, columns, blocks } = this.values;
    const count = this.sourceOf(node) === 'block' ? blocks : columns;
    return v128.store32Lane0(i32.add(this.values.reducedAt(id), walk.rowAt), this.accumulator(id).result(count));
  }

  private fillColumns({ id, node }: ReduceNode): Code {
    return this.eachColumnVector(id, address => v128.store(address, IDENTITY[node.reduction]));
  }

  private combineColumns({ id, node: { reduction, x } }: ReduceNode, width: Width): Code {
    const address = this.columnAddress(id);
    const value = this.values.value(x);
    const { offset } = this.values.walk;
    if (width === 'vector') return v128.store(address, COMBINE[reduction](v128.load(address, offset), value), offset);
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
    const { rows, columns, blocks } = this.values;
    const source = this.sourceOf(node);
    if (source === 'row' || source === 'column') return source === 'row' ? rows : columns;
    return i32.mul(rows, source === 'block' ? blocks : columns);
  }

  private of(source: Source, per?: Extent): readonly ReduceNode[] {
    return this.reductions.filter(
      ({ node }) => this.sourceOf(node) === source && (per === undefined || node.extent === per),
    );
  }

  private to(per: Extent): readonly ReduceNode[] {
    return this.reductions.filter(({ node }) => node.extent === per);
  }

  private sourceOf(node: ReduceNode['node']): Source {
    const { extent } = this.values.graph.nodes[node.x]!;
    return blockSize(extent) === null ? (extent as Source) : 'block';
  }

  private accumulator(id: number): Accumulator {
    return this.accumulators.get(id)!;
  }
}
