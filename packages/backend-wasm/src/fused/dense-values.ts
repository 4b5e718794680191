import { type Extent, type Graph, operandsOf } from '@frugaljs/core';
import {
  type Code,
  type FunctionScope,
  f32x4,
  i32,
  type Local,
  repeatWhile,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import {
  GraphEmitter,
  inputParameter,
  isGiven,
  type KernelSignature,
  neededFor,
  numberParameter,
} from './graph-emitter.js';
import { loadFirstLane, visitPlaces } from './lanes.js';

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
  /** No value per row or column is known: the elements are one long run. */
  private readonly isFlat: boolean;

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
    this.isFlat = graph.nodes.every(({ extent }) => extent !== 'row' && extent !== 'column');
    this.walk = new MatrixWalk(scope, rows, columns);
  }

  /** The variable that holds a value. */
  value(id: number): Local {
    return this.emitter.value(id);
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
    const next = this.scope.local('i32');
    code.push(next.set(this.parameters['scratch']!));
    this.graph.nodes.forEach((node, id) => {
      if (node.op !== 'reduce' || node.extent === 'tensor') return;
      const start = this.scope.local('i32');
      this.reduced.set(id, start);
      const count = node.extent === 'row' ? this.rows : this.columns;
      code.push(start.set(next), next.advance(i32.shl(i32.shrU(i32.add(count, 3), 2), 4)));
    });
    return sequence(...code);
  }

  /** Values per tensor that become known with the reductions of a stage. */
  perTensor(stage: number): Code {
    const code = this.graph.nodes.flatMap((node, id) => {
      if (node.extent !== 'tensor' || this.stages[id] !== stage || node.op === 'reduce' || this.isNumber(id)) return [];
      return [node.op === 'input' ? this.load(id, 'vector') : this.emitter.compute(id)];
    });
    return sequence(...code);
  }

  /**
   * Visits all rows, and if `inner` is given all elements of each. In `inner` and `after` the targets are known, as far
   * as they have one value per row or element.
   */
  eachRow(targets: readonly number[], before: Code, inner: ((width: Width) => Code) | null, after: Code): Code {
    const needed = this.neededFor(targets);
    const perRow = needed.filter(id => this.extent(id) === 'row');
    const perElement = needed.filter(id => this.extent(id) === 'element' || this.extent(id) === 'column');
    const body = (width: Width): Code =>
      sequence(...perElement.map(id => this.find(id, width)), inner?.(width) ?? sequence());
    if (this.isFlat) return this.walk.eachElement(body);
    const start = sequence(before, ...perRow.map(id => this.find(id, 'vector')));
    return this.walk.eachRow(start, inner === null ? null : body, after);
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
      default: {
        const address = i32.add(base, node.extent === 'column' ? this.walk.columnAt : this.walk.at);
        return value.set(width === 'vector' ? v128.load(address) : loadFirstLane(address));
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
 * known. Every stage but the last is one pass over the inputs; the last one writes.
 */
function stagesOf(graph: Graph): readonly number[] {
  const stages: number[] = [];
  for (const node of graph.nodes) {
    const below = operandsOf(node).reduce((stage, operand) => Math.max(stage, stages[operand]!), 0);
    stages.push(below + (node.op === 'reduce' ? 1 : 0));
  }
  return stages;
}

/** How many entries a piece of code works on: four, or the one in the first lane at the end of a row. */
export type Width = 'vector' | 'first lane';

/** Places in a matrix that are worked on at the same time. */
const PLACES = 4;

/** The loops over a matrix of float32, and where in it the code is that they repeat. */
class MatrixWalk {
  private element: Local;
  /** Byte offset of the current column, from the first. */
  readonly columnAt: Local;
  /** Byte offset of the current row's entry in an array of one entry per row. */
  readonly rowAt: Local;
  private readonly left: Local;
  private readonly rowsLeft: Local;

  constructor(
    private readonly scope: FunctionScope,
    private readonly rows: Local,
    private readonly columns: Local,
  ) {
    this.element = scope.local('i32');
    this.columnAt = scope.local('i32');
    this.rowAt = scope.local('i32');
    this.left = scope.local('i32');
    this.rowsLeft = scope.local('i32');
  }

  /** Byte offset of the current element; a variable of its own for each place in {@link eachElement}. */
  get at(): Local {
    return this.element;
  }

  /** Visits all rows in their order, and if `inner` is given all elements of each. */
  eachRow(before: Code, inner: ((width: Width) => Code) | null, after: Code): Code {
    return sequence(
      this.element.set(0),
      this.rowAt.set(0),
      this.rowsLeft.set(this.rows),
      repeatWhile(
        this.rowsLeft,
        before,
        inner === null ? sequence() : this.alongRow(inner),
        after,
        this.rowAt.advance(4),
        this.rowsLeft.advance(-1),
      ),
    );
  }

  private alongRow(inner: (width: Width) => Code): Code {
    const step = (lanes: number): Code[] => [
      this.element.advance(4 * lanes),
      this.columnAt.advance(4 * lanes),
      this.left.advance(-lanes),
    ];
    return sequence(
      this.columnAt.set(0),
      this.left.set(this.columns),
      repeatWhile(i32.geU(this.left, 4), inner('vector'), ...step(4)),
      repeatWhile(this.left, inner('first lane'), ...step(1)),
    );
  }

  /** Visits all elements, in no particular order, without their rows and columns. */
  eachElement(body: (width: Width) => Code): Code {
    const { element } = this;
    const visit = (width: Width, place: Local): Code => {
      this.element = place;
      return body(width);
    };
    const code = sequence(
      this.left.set(i32.mul(this.rows, this.columns)),
      visitPlaces(
        this.scope,
        0,
        this.left,
        PLACES,
        places => sequence(...places.map(place => visit('vector', place))),
        place => visit('first lane', place),
      ),
    );
    this.element = element;
    return code;
  }

  /** Visits all columns, without their elements. */
  eachColumn(body: (width: Width) => Code): Code {
    return sequence(
      this.columnAt.set(0),
      this.left.set(this.columns),
      repeatWhile(i32.geU(this.left, 4), body('vector'), this.columnAt.advance(16), this.left.advance(-4)),
      repeatWhile(this.left, body('first lane'), this.columnAt.advance(4), this.left.advance(-1)),
    );
  }

  /** Visits all columns four by four, for an array of one entry per column that is padded to whole vectors. */
  eachColumnVector(body: () => Code): Code {
    return sequence(
      this.columnAt.set(0),
      this.left.set(i32.shrU(i32.add(this.columns, 3), 2)),
      repeatWhile(this.left, body(), this.columnAt.advance(16), this.left.advance(-1)),
    );
  }
}
