import type { Extent, Graph } from '@frugaljs/core';
import { type Code, type FunctionScope, f32x4, i32, type Local, sequence, v128 } from '@frugaljs/wasm-assembly';
import { GraphEmitter } from './graph-emitter.js';
import { inputParameter, type KernelSignature, numberParameter } from './kernel-signature.js';
import { loadFirstLane } from './lanes.js';
import { MatrixWalk, type Width } from './matrix-walk.js';
import { ReductionScratch } from './reduction-scratch.js';
import { isGiven, neededFor, stagesOf } from './stages.js';

/** The values of a graph at the current place of a walk over a matrix: loaded where they are given, else computed. */
export class DenseValues {
  readonly walk: MatrixWalk;
  readonly scratch: ReductionScratch;
  readonly rows: Local;
  readonly columns: Local;
  /** For each node how many reductions lie below it. */
  readonly stages: readonly number[];
  private readonly emitter: GraphEmitter;
  /** No value per row or column is known: the elements are one long run. */
  private readonly isFlat: boolean;

  constructor(
    readonly graph: Graph,
    private readonly signature: KernelSignature,
    private readonly parameters: Readonly<Record<string, Local>>,
    scope: FunctionScope,
  ) {
    const { rows, columns, scratch } = parameters as Readonly<Record<'rows' | 'columns' | 'scratch', Local>>;
    this.rows = rows;
    this.columns = columns;
    this.emitter = new GraphEmitter(graph, scope);
    this.stages = stagesOf(graph);
    this.isFlat = graph.nodes.every(({ extent }) => extent !== 'row' && extent !== 'column');
    this.walk = new MatrixWalk(scope, rows, columns);
    this.scratch = new ReductionScratch(graph, scope, { rows, columns, scratch });
  }

  /** The variable that holds a value. */
  value(id: number): Local {
    return this.emitter.value(id);
  }

  /** The numbers from the host, in all lanes; comes first. */
  numbers(): Code {
    return sequence(
      ...this.signature.numbers.map(id => this.value(id).set(f32x4.splat(this.parameters[numberParameter(id)]!))),
    );
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
    const base = node.op === 'input' ? this.parameters[inputParameter(node.name)]! : this.scratch.start(id);
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
