import type { Graph } from '@frugaljs/core';
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
  repeatWhile,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import { GraphEmitter } from './graph-emitter.js';
import {
  inputParameter,
  type KernelSignature,
  numberParameter,
  outputParameter,
  signatureParameters,
} from './kernel-signature.js';
import { LANE_BINARY, loadFirstLane, storeLane } from './lanes.js';
import { visitPlaces } from './places.js';
import { Accumulator, COMBINE, firstLaneOnly, IDENTITY } from './reductions.js';
import { isGiven, neededFor, stagesOf } from './stages.js';

type ReduceNode = Extract<Graph['nodes'][number], { op: 'reduce' }>;
type Width = 'vector' | 'first lane';

/** Places in a matrix that are worked on at the same time. */
const PLACES = 4;

/** Bytes of scratch memory the kernel of a graph needs for a matrix of this size. */
export function scratchBytes(graph: Graph, rows: number, columns: number): number {
  return graph.nodes.reduce((bytes, node) => {
    if (node.op !== 'reduce' || node.extent === 'tensor') return bytes;
    return bytes + paddedBytes(node.extent === 'row' ? rows : columns);
  }, 0);
}

const paddedBytes = (count: number): number => 16 * Math.ceil(count / 4);

/**
 * A kernel that runs a graph over a matrix in memory: one pass over its elements per stage of reductions, of which the
 * last one writes. `run(rows, columns, scratch, …signature)`.
 */
export function denseKernel(graph: Graph, signature: KernelSignature): ModuleBuilder {
  const module = new ModuleBuilder();
  const parameters = { ...integers('rows', 'columns', 'scratch'), ...signatureParameters(signature) };
  module.define('run', parameters, (locals, scope) => new DenseEmitter(graph, signature, locals, scope).emit());
  return module;
}

class DenseEmitter {
  private readonly emitter: GraphEmitter;
  private readonly stages: readonly number[];
  /** No value per row or column is known: the elements are one long run. */
  private readonly isFlat: boolean;
  /** Byte offset of the current element, of its column and of its row. */
  private at: Local;
  private readonly columnAt: Local;
  private readonly rowAt: Local;
  private readonly left: Local;
  private readonly rowsLeft: Local;
  private readonly spare: Local;
  private readonly storage = new Map<number, Local>();

  constructor(
    private readonly graph: Graph,
    private readonly signature: KernelSignature,
    private readonly parameters: Readonly<Record<string, Local>>,
    private readonly scope: FunctionScope,
  ) {
    this.emitter = new GraphEmitter(graph, scope);
    this.stages = stagesOf(graph);
    this.isFlat = graph.nodes.every(({ extent }) => extent !== 'row' && extent !== 'column');
    this.at = scope.local('i32');
    this.columnAt = scope.local('i32');
    this.rowAt = scope.local('i32');
    this.left = scope.local('i32');
    this.rowsLeft = scope.local('i32');
    this.spare = scope.local('v128');
  }

  emit(): Code {
    const parts: Code[] = [this.prepare()];
    const last = Math.max(0, ...this.stages);
    for (let stage = 0; stage < last; stage++) {
      parts.push(this.tensorValues(stage), this.reductionPass(stage + 1));
    }
    parts.push(this.tensorValues(last), this.writingPass());
    return sequence(...parts);
  }

  /** Numbers into all lanes, and places in the scratch memory for reductions per row and column. */
  private prepare(): Code {
    const code = this.signature.numbers.map(id =>
      this.emitter.value(id).set(f32x4.splat(this.parameters[numberParameter(id)]!)),
    );
    const next = this.scope.local('i32');
    code.push(next.set(this.parameters['scratch']!));
    this.graph.nodes.forEach((node, id) => {
      if (node.op !== 'reduce' || node.extent === 'tensor') return;
      const place = this.scope.local('i32');
      this.storage.set(id, place);
      const count = this.parameters[node.extent === 'row' ? 'rows' : 'columns']!;
      code.push(place.set(next), next.advance(i32.shl(i32.shrU(i32.add(count, 3), 2), 4)));
    });
    return sequence(...code);
  }

  /** Values per tensor that become known with the reductions of a stage. */
  private tensorValues(stage: number): Code {
    const code = this.graph.nodes.flatMap((node, id) => {
      if (node.extent !== 'tensor' || this.stages[id] !== stage || node.op === 'reduce' || this.isNumber(id)) return [];
      return [node.op === 'input' ? this.load(id, 'vector') : this.emitter.compute(id)];
    });
    return sequence(...code);
  }

  /** One pass that computes all reductions of a stage. */
  private reductionPass(stage: number): Code {
    const reductions = this.graph.nodes.flatMap((node, id) =>
      node.op === 'reduce' && this.stages[id] === stage ? [{ id, node }] : [],
    );
    const of = (source: string, per?: string): { id: number; node: ReduceNode }[] =>
      reductions.filter(({ node }) => this.sourceExtent(node) === source && (per === undefined || node.extent === per));
    const accumulators = new Map(
      reductions
        .filter(({ node }) => node.extent !== 'column')
        .map(({ id, node }) => [id, new Accumulator(node.reduction, this.scope)]),
    );
    const accumulate = (list: readonly { id: number; node: ReduceNode }[], width: Width): Code =>
      sequence(
        ...list.map(({ id, node }) => {
          const accumulator = accumulators.get(id)!;
          const x = this.emitter.value(node.x);
          return width === 'vector' ? accumulator.add(x) : accumulator.addFirstLane(x, this.spare);
        }),
      );
    const parts: Code[] = [];
    parts.push(
      ...reductions.filter(({ node }) => node.extent === 'tensor').map(({ id }) => accumulators.get(id)!.reset()),
    );
    for (const { id, node } of of('element', 'column')) parts.push(this.fillColumn(id, IDENTITY[node.reduction]));

    const elementwise = of('element');
    const perRow = of('row');
    if (elementwise.length > 0 || perRow.length > 0) {
      const rowReductions = of('element', 'row');
      parts.push(
        this.eachRow(
          [...elementwise, ...perRow].map(({ node }) => node.x),
          sequence(...rowReductions.map(({ id }) => accumulators.get(id)!.reset())),
          elementwise.length === 0
            ? null
            : width =>
                sequence(
                  accumulate([...of('element', 'tensor'), ...rowReductions], width),
                  ...of('element', 'column').map(({ id, node }) => this.combineColumn(id, node, width)),
                ),
          sequence(
            ...rowReductions.map(({ id }) => {
              const address = i32.add(this.storage.get(id)!, this.rowAt);
              return v128.store32Lane0(address, accumulators.get(id)!.result(this.parameters['columns']!));
            }),
            accumulate(perRow, 'first lane'),
          ),
        ),
      );
    }
    const perColumn = of('column');
    if (perColumn.length > 0) {
      parts.push(
        this.eachColumn(
          perColumn.map(({ node }) => node.x),
          width => accumulate(perColumn, width),
        ),
      );
    }
    for (const { id, node } of of('element', 'column'))
      if (node.reduction === 'mean') parts.push(this.divideColumn(id));
    for (const { id, node } of reductions) {
      if (node.extent !== 'tensor') continue;
      parts.push(this.emitter.value(id).set(accumulators.get(id)!.result(this.countOf(node))));
    }
    return sequence(...parts);
  }

  /** The pass that computes and writes the results. */
  private writingPass(): Code {
    const outputs = Object.entries(this.graph.outputs).map(([name, output]) => ({ name, ...output }));
    const of = (extent: string): typeof outputs => outputs.filter(output => output.extent === extent);
    const nodes = (list: typeof outputs): number[] => list.map(({ node }) => node);
    const store = (list: typeof outputs, at: Local, width: Width): Code =>
      sequence(
        ...list.map(({ name, node }) => {
          const address = i32.add(this.parameters[outputParameter(name)]!, at);
          const value = this.emitter.value(node);
          return width === 'vector' ? v128.store(address, value) : storeLane(address, value, 0);
        }),
      );
    const parts: Code[] = [];
    const [element, row, column] = [of('element'), of('row'), of('column')];
    if (element.length > 0 || row.length > 0) {
      parts.push(
        this.eachRow(
          [...nodes(element), ...nodes(row)],
          sequence(),
          element.length === 0 ? null : width => store(element, this.at, width),
          store(row, this.rowAt, 'first lane'),
        ),
      );
    }
    // Values per column are still read by later rows, so they are written after all of them.
    if (column.length > 0) parts.push(this.eachColumn(nodes(column), width => store(column, this.columnAt, width)));
    for (const { name, node } of of('tensor')) {
      parts.push(storeLane(this.parameters[outputParameter(name)]!, this.emitter.value(node), 0));
    }
    return sequence(...parts);
  }

  /** Visits all rows, and if `inner` is given all elements of each. */
  private eachRow(targets: readonly number[], before: Code, inner: ((width: Width) => Code) | null, after: Code): Code {
    const needed = neededFor(this.graph, targets).filter(id => !this.isNumber(id));
    const rowValues = needed.filter(id => this.graph.nodes[id]!.extent === 'row');
    const elements = needed.filter(id => ['element', 'column'].includes(this.graph.nodes[id]!.extent));
    const { rows, columns } = this.parameters as { rows: Local; columns: Local };
    const body = (width: Width): Code =>
      sequence(...elements.map(id => this.find(id, width)), inner?.(width) ?? sequence());
    if (this.isFlat) return this.eachEntry(body);
    const step = (lanes: number): Code[] => [
      this.at.advance(4 * lanes),
      this.columnAt.advance(4 * lanes),
      this.left.advance(-lanes),
    ];
    return sequence(
      this.at.set(0),
      this.rowAt.set(0),
      this.rowsLeft.set(rows),
      repeatWhile(
        this.rowsLeft,
        before,
        ...rowValues.map(id => this.find(id, 'vector')),
        ...(inner === null
          ? []
          : [
              this.columnAt.set(0),
              this.left.set(columns),
              repeatWhile(i32.geU(this.left, 4), body('vector'), ...step(4)),
              repeatWhile(this.left, body('first lane'), ...step(1)),
            ]),
        after,
        this.rowAt.advance(4),
        this.rowsLeft.advance(-1),
      ),
    );
  }

  /** Visits all elements, in no particular order. */
  private eachEntry(body: (width: Width) => Code): Code {
    const { rows, columns } = this.parameters as { rows: Local; columns: Local };
    const { at } = this;
    const visit = (width: Width, place: Local): Code => {
      this.at = place;
      return body(width);
    };
    const code = sequence(
      this.left.set(i32.mul(rows, columns)),
      visitPlaces(
        this.scope,
        0,
        this.left,
        PLACES,
        places => sequence(...places.map(place => visit('vector', place))),
        place => visit('first lane', place),
      ),
    );
    this.at = at;
    return code;
  }

  /** Visits all columns, without their elements. */
  private eachColumn(targets: readonly number[], inner: (width: Width) => Code): Code {
    const needed = neededFor(this.graph, targets).filter(id => this.graph.nodes[id]!.extent === 'column');
    const body = (width: Width): Code =>
      sequence(...needed.filter(id => !this.isNumber(id)).map(id => this.find(id, width)), inner(width));
    return sequence(
      this.columnAt.set(0),
      this.left.set(this.parameters['columns']!),
      repeatWhile(i32.geU(this.left, 4), body('vector'), this.columnAt.advance(16), this.left.advance(-4)),
      repeatWhile(this.left, body('first lane'), this.columnAt.advance(4), this.left.advance(-1)),
    );
  }

  /** Loads a given value or computes it. */
  private find(id: number, width: Width): Code {
    return isGiven(this.graph.nodes[id]!) ? this.load(id, width) : this.emitter.compute(id);
  }

  private load(id: number, width: Width): Code {
    const node = this.graph.nodes[id]!;
    const base = node.op === 'input' ? this.parameters[inputParameter(node.name)]! : (this.storage.get(id) as Local);
    const value = this.emitter.value(id);
    switch (node.extent) {
      case 'tensor':
        return value.set(v128.load32Splat(base));
      case 'row':
        return value.set(v128.load32Splat(i32.add(base, this.rowAt)));
      default: {
        const address = i32.add(base, node.extent === 'column' ? this.columnAt : this.at);
        return value.set(width === 'vector' ? v128.load(address) : loadFirstLane(address));
      }
    }
  }

  private combineColumn(id: number, { reduction, x }: ReduceNode, width: Width): Code {
    const address = i32.add(this.storage.get(id)!, this.columnAt);
    const value = this.emitter.value(x);
    if (width === 'vector') return v128.store(address, COMBINE[reduction](v128.load(address), value));
    return storeLane(address, COMBINE[reduction](loadFirstLane(address), firstLaneOnly(reduction, value)), 0);
  }

  private fillColumn(id: number, value: Operand): Code {
    return this.eachColumnVector(id, address => v128.store(address, value));
  }

  private divideColumn(id: number): Code {
    const count = f32x4.splat(new Code([...encode(this.parameters['rows']!), 0xb3]));
    return sequence(
      this.spare.set(count),
      this.eachColumnVector(id, address => v128.store(address, LANE_BINARY.div(v128.load(address), this.spare))),
    );
  }

  /** Visits the scratch entries of a reduction per column; they are padded to whole vectors. */
  private eachColumnVector(id: number, visit: (address: Code) => Code): Code {
    return sequence(
      this.columnAt.set(0),
      this.left.set(i32.shrU(i32.add(this.parameters['columns']!, 3), 2)),
      repeatWhile(
        this.left,
        visit(i32.add(this.storage.get(id)!, this.columnAt)),
        this.columnAt.advance(16),
        this.left.advance(-1),
      ),
    );
  }

  private sourceExtent(node: ReduceNode): string {
    return this.graph.nodes[node.x]!.extent;
  }

  private countOf(node: ReduceNode): Operand {
    const { rows, columns } = this.parameters as { rows: Local; columns: Local };
    const source = this.sourceExtent(node);
    return source === 'row' ? rows : source === 'column' ? columns : i32.mul(rows, columns);
  }

  private isNumber(id: number): boolean {
    return this.signature.numbers.includes(id) || this.graph.nodes[id]!.extent === 'host';
  }
}
