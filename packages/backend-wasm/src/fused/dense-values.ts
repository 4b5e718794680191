import { blockSize, blockSizes, type Extent, type Graph, neededNodes, operandsOf } from '@frugaljs/core';
import { type Code, type FunctionScope, f32x4, i32, type Local, sequence, v128 } from '@frugaljs/wasm-assembly';
import { BlockAccumulator } from './accumulators.js';
import {
  GraphEmitter,
  inputParameter,
  isGiven,
  type KernelSignature,
  neededFor,
  numberParameter,
} from './graph-emitter.js';
import { loadFirstLane } from './lanes.js';
import { MatrixWalk, type Width } from './matrix-walk.js';

/** What a pass does at each place of a matrix. */
export interface RowVisit {
  /** Nodes that are known in the code below, as far as they have one value per row, block or element. */
  readonly targets: readonly number[];
  /** Before each row. */
  readonly before?: Code;
  /** For each element; null where nothing is to be done with elements. */
  readonly each: ((width: Width) => Code) | null;
  /** For each block. */
  readonly eachBlock?: ((width: Width) => Code) | null;
  /** After each row. */
  readonly after?: Code;
}

/** The values of a graph at the current place of a walk over a matrix: loaded where they are given, else computed. */
export class DenseValues {
  readonly graph: Graph;
  readonly walk: MatrixWalk;
  readonly rows: Local;
  readonly columns: Local;
  /** For each node how many reductions lie below it. */
  readonly stages: readonly number[];
  private readonly emitter: GraphEmitter;
  /** Addresses of the results of reductions per row and per column, one array after the other in the scratch memory. */
  private readonly reduced = new Map<number, Local>();
  /** There is no value or result per row, column or block: the elements are one long run. */
  private readonly isFlat: boolean;
  /** Some value or result has one entry per row or column. */
  private readonly hasLines: boolean;
  /** Blocks in a row. */
  readonly blocks: Local;
  /** Columns in a block; 1 where the graph has no blocks. */
  private readonly blockSize: number;
  private readonly accumulators = new Map<number, BlockAccumulator>();
  private readonly spare: Local;

  constructor(
    private readonly signature: KernelSignature,
    private readonly parameters: Readonly<Record<string, Local>>,
    private readonly scope: FunctionScope,
  ) {
    const { rows, columns } = parameters as Readonly<Record<'rows' | 'columns', Local>>;
    const { graph } = signature;
    this.graph = graph;
    this.rows = rows;
    this.columns = columns;
    this.emitter = new GraphEmitter(graph, scope);
    this.stages = stagesOf(graph);
    const extents = [...graph.nodes, ...Object.values(graph.outputs)].map(({ extent }) => extent);
    this.isFlat = extents.every(extent => SHAPELESS.has(extent));
    this.hasLines = extents.some(extent => extent === 'row' || extent === 'column');
    this.blockSize = blockSizes(graph)[0] ?? 1;
    this.blocks = scope.local('i32');
    this.spare = scope.local('v128');
    this.walk = new MatrixWalk(scope, rows, columns, this.blockSize);
  }

  /** The variable that holds a value. */
  value(id: number): Local {
    return this.emitter.value(id);
  }

  /** The variable that holds a value for each of the entries at hand. */
  valuePerElement(id: number): Local {
    return this.emitter.valuePerElement(id);
  }

  /** Address of the results of a reduction per row or per column. */
  reducedAt(id: number): Local {
    return this.reduced.get(id)!;
  }

  /** Puts the numbers from the host into all lanes and lays out the scratch memory; comes first. */
  prepare(): Code {
    const code = this.signature.numbers.map(id => {
      return this.value(id).set(f32x4.splat(this.parameters[numberParameter(id)]!));
    });
    if (this.blockSize > 1) code.push(this.countBlocks());
    const next = this.scope.local('i32');
    code.push(next.set(this.parameters['scratch']!));
    this.graph.nodes.forEach((node, id) => {
      if (node.op !== 'reduce' || (node.extent !== 'row' && node.extent !== 'column')) return;
      const start = this.scope.local('i32');
      this.reduced.set(id, start);
      const count = node.extent === 'row' ? this.rows : this.columns;
      code.push(start.set(next), next.advance(i32.shl(i32.shrU(i32.add(count, 3), 2), 4)));
    });
    return sequence(...code);
  }

  /** ⌈columns / n⌉. */
  private countBlocks(): Code {
    return this.blocks.set(i32.divU(i32.add(this.columns, this.blockSize - 1), this.blockSize));
  }

  /** Values per tensor that become known with the reductions of a stage. */
  perTensor(stage: number): Code {
    const code = this.graph.nodes.flatMap((node, id) => {
      if (node.extent !== 'tensor' || this.stages[id] !== stage || node.op === 'reduce' || this.isNumber(id)) return [];
      return [node.op === 'input' ? this.load(id, 'vector') : this.emitter.compute(id)];
    });
    return sequence(...code);
  }

  /** Visits all rows, and their blocks and elements as far as something is to be done with them. */
  eachRow({ targets, before = sequence(), each, eachBlock = null, after = sequence() }: RowVisit): Code {
    const needed = this.neededFor(targets);
    const perRow = needed.filter(id => this.extent(id) === 'row');
    const start = sequence(before, ...perRow.map(id => this.find(id, 'vector')));
    if (eachBlock !== null || needed.some(id => this.isPerBlock(id))) {
      const body = (width: Width): Code => this.blockBody(targets, width, each, eachBlock);
      return this.hasLines ? this.walk.eachRow(start, this.walk.alongBlocks(body), after) : this.walk.eachBlock(body);
    }
    const perElement = needed.filter(id => this.isPerElement(id));
    const body = (width: Width): Code =>
      sequence(...perElement.map(id => this.find(id, width)), each?.(width) ?? sequence());
    if (this.isFlat) return this.walk.eachElement(body);
    return this.walk.eachRow(start, each === null ? sequence() : this.walk.alongRow(body), after);
  }

  /**
   * What is done in a block, or in as many as a vector has room for: reductions, layer by layer of those that need one
   * another, each in a walk of its own through the entries, then what is wanted of the block and of its entries.
   */
  private blockBody(
    targets: readonly number[],
    width: Width,
    each: RowVisit['each'],
    eachBlock: RowVisit['eachBlock'],
  ): Code {
    const { nodes } = this.graph;
    const layers = this.layersOf(this.neededFor(targets));
    const ids = [...layers.keys()];
    /** Finds values per element, from those per block, which are known. */
    const findElements = (wanted: readonly number[], vector: number): Code => {
      const lanes = this.walk.lanesOfBlocks(width, vector);
      const isSpread = vector > 0 && this.walk.lanesOfBlocks(width, vector - 1).join() === lanes.join();
      const needed = neededNodes(nodes, wanted, (node, id) => this.isPerBlock(id) || isGiven(node));
      return sequence(
        ...needed.flatMap(id => {
          if (this.isPerBlock(id)) return isSpread ? [] : [this.emitter.spread(id, lanes)];
          return this.isPerElement(id) && !this.isNumber(id) ? [this.find(id, width)] : [];
        }),
      );
    };
    const parts: Code[] = [];
    const last = Math.max(0, ...layers.values());
    for (let layer = 0; layer <= last; layer++) {
      const reductions = ids.filter(id => this.isBlockReduction(id) && layers.get(id) === layer);
      if (reductions.length > 0) {
        const accumulators = reductions.map(id => this.accumulator(id));
        const sources = reductions.map(id => operandsOf(nodes[id]!)[0]!);
        parts.push(
          ...accumulators.map(accumulator => accumulator.reset(width)),
          this.walk.throughBlock(width, vector =>
            sequence(
              findElements(sources, vector),
              ...accumulators.map((accumulator, i) => accumulator.add(this.value(sources[i]!), width, vector)),
            ),
          ),
          ...accumulators.map(accumulator => accumulator.finish(width)),
        );
      }
      const computed = ids.filter(id => this.isPerBlock(id) && !this.isBlockReduction(id) && layers.get(id) === layer);
      parts.push(...computed.map(id => this.find(id, width)));
    }
    parts.push(eachBlock?.(width) ?? sequence());
    if (each !== null) {
      const wanted = targets.filter(id => this.isPerElement(id) || this.isPerBlock(id));
      parts.push(this.walk.throughBlock(width, vector => sequence(findElements(wanted, vector), each(width))));
    }
    return sequence(...parts);
  }

  /** For each of the nodes how many reductions of a block, one of the result of another, lie below it. */
  private layersOf(needed: readonly number[]): ReadonlyMap<number, number> {
    const layers = new Map<number, number>();
    for (const id of needed) {
      const node = this.graph.nodes[id]!;
      const below = isGiven(node) ? [] : operandsOf(node).map(operand => layers.get(operand) ?? 0);
      layers.set(id, Math.max(0, ...below) + (this.isBlockReduction(id) ? 1 : 0));
    }
    return layers;
  }

  private accumulator(id: number): BlockAccumulator {
    let accumulator = this.accumulators.get(id);
    if (accumulator === undefined) {
      const node = this.graph.nodes[id]! as Extract<Graph['nodes'][number], { op: 'reduce' }>;
      accumulator = new BlockAccumulator(node.reduction, this.blockSize, this.value(id), this.spare, this.scope);
      this.accumulators.set(id, accumulator);
    }
    return accumulator;
  }

  private isBlockReduction(id: number): boolean {
    return this.graph.nodes[id]!.op === 'reduce' && this.isPerBlock(id);
  }

  private isPerBlock(id: number): boolean {
    return blockSize(this.extent(id)) !== null && !this.isNumber(id);
  }

  private isPerElement(id: number): boolean {
    return this.extent(id) === 'element' || this.extent(id) === 'column';
  }

  /** Visits all columns, without their elements; the targets have one value per column. */
  eachColumn(targets: readonly number[], inner: (width: Width) => Code): Code {
    const needed = this.neededFor(targets).filter(id => this.extent(id) === 'column');
    return this.walk.eachColumn(width => sequence(...needed.map(id => this.find(id, width)), inner(width)));
  }

  private neededFor(targets: readonly number[]): readonly number[] {
    return neededFor(this.graph, targets).filter(id => !this.isNumber(id));
  }

  private find(id: number, width: Width): Code {
    return isGiven(this.graph.nodes[id]!) ? this.load(id, width) : this.emitter.compute(id);
  }

  private load(id: number, width: Width): Code {
    const node = this.graph.nodes[id]!;
    const base = node.op === 'input' ? this.parameters[inputParameter(node.name)]! : this.reducedAt(id);
    const value = this.value(id);
    switch (node.extent) {
      case 'tensor':
        return value.set(v128.load32Splat(base));
      case 'row':
        return value.set(v128.load32Splat(i32.add(base, this.walk.rowAt)));
      case 'element':
      case 'column': {
        const address = i32.add(base, node.extent === 'column' ? this.walk.columnAt : this.walk.at);
        return value.set(width === 'vector' ? v128.load(address, this.walk.offset) : loadFirstLane(address));
      }
      default: {
        const address = i32.add(base, this.walk.blockAt);
        if (width === 'first lane') return value.set(loadFirstLane(address));
        return value.set(this.walk.hasFour ? v128.load(address) : v128.load32Splat(address));
      }
    }
  }

  private extent(id: number): Extent | 'host' {
    return this.graph.nodes[id]!.extent;
  }

  private isNumber(id: number): boolean {
    return this.signature.numbers.includes(id) || this.extent(id) === 'host';
  }
}

/** How many arrays of one entry per row, and per column, the reductions of a graph take in the scratch memory. */
export function reducedArrays({ nodes }: Graph): { readonly perRow: number; readonly perColumn: number } {
  const count = (extent: Extent): number => nodes.filter(node => node.op === 'reduce' && node.extent === extent).length;
  return { perRow: count('row'), perColumn: count('column') };
}

/**
 * How many reductions lie below each node: a value of stage s can be computed once the reductions of stages 1 … s are
 * known. Every stage but the last is one pass over the inputs; the last one writes. Reductions to a block do not count:
 * every pass has all entries of a block at hand.
 */
function stagesOf(graph: Graph): readonly number[] {
  const stages: number[] = [];
  for (const node of graph.nodes) {
    const below = operandsOf(node).reduce((stage, operand) => Math.max(stage, stages[operand]!), 0);
    stages.push(below + (node.op === 'reduce' && blockSize(node.extent) === null ? 1 : 0));
  }
  return stages;
}

/** Extents that do not tell where in the matrix an element is. */
const SHAPELESS: ReadonlySet<Extent | 'host'> = new Set(['host', 'tensor', 'element'] as const);
