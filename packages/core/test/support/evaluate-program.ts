import { type Extent, matrixView, type NodeExtent } from '@frugaljs/core';
import { BOUNDED_BINARY, BOUNDED_UNARY, type Bounded, boundedReduction, boundedSelect, toFloat32 } from './bounded.js';
import { INPUTS, isReducible, type Per, type Program, poolEntry, SCALARS, scalarsOf } from './program.js';

/** All entries of a value as a dense matrix, however few of them differ. */
export interface Dense {
  readonly extent: NodeExtent;
  readonly at: (row: number, column: number) => Bounded;
}

/** Extents as (varies along rows, varies along columns): what a dense matrix of the value looks like. */
const VARIES: Readonly<Record<NodeExtent, readonly [boolean, boolean]>> = {
  host: [false, false],
  tensor: [false, false],
  row: [true, false],
  column: [false, true],
  element: [true, true],
};

function widest(extents: readonly NodeExtent[]): NodeExtent {
  if (extents.every(extent => extent === 'host')) return 'host';
  const rows = extents.some(extent => VARIES[extent][0]);
  const columns = extents.some(extent => VARIES[extent][1]);
  return rows && columns ? 'element' : rows ? 'row' : columns ? 'column' : 'tensor';
}

/**
 * Computes a program entry by entry in float64 with error bounds, without graph, tensors or broadcasting: the same lines
 * as `trace`, in the same order.
 */
export function evaluateProgram(program: Program): Dense[] {
  const [rows, columns] = matrixView(program.shape);
  const scalars = scalarsOf(program);

  const dense = (extent: NodeExtent, entry: (row: number, column: number) => Bounded): Dense => {
    const [byRow, byColumn] = VARIES[extent];
    const table = Array.from({ length: byRow ? rows : 1 }, (_, row) =>
      Array.from({ length: byColumn ? columns : 1 }, (_, column) => entry(row, column)),
    );
    return { extent, at: (row, column) => table[byRow ? row : 0]![byColumn ? column : 0]! };
  };

  const values: Dense[] = [
    ...Object.entries(INPUTS).map(([name, extent], ordinal) =>
      dense(extent, (row, column) => {
        const index = program.filled.includes(name) ? 0 : extent === 'row' ? row : row * columns + column;
        return { value: poolEntry(program, ordinal, index), error: 0 };
      }),
    ),
    ...SCALARS.map(name => dense('host', () => ({ value: scalars[name]!, error: 0 }))),
  ];

  /** Host values meet tensors rounded to float32; among themselves, and as conditions, they stay float64. */
  const operands = (operands: readonly Dense[], isSelect = false) => {
    const extent = widest(operands.map(operand => operand.extent));
    const at = operands.map((operand, i) =>
      operand.extent === 'host' && extent !== 'host' && !(isSelect && i === 0)
        ? () => toFloat32(operand.at(0, 0))
        : (row: number, column: number) => operand.at(row, column),
    );
    return { extent, at };
  };

  const compute = (lines: readonly Dense[], f: (...entries: Bounded[]) => Bounded, isSelect = false): Dense => {
    const { extent, at } = operands(lines, isSelect);
    return dense(extent, (row, column) => {
      const entries = at.map(entry => entry(row, column));
      const result = f(...entries);
      const inFloat64 = extent === 'host' && entries.every(entry => entry.error === 0);
      return inFloat64 && Number.isFinite(result.error) ? { value: result.value, error: 0 } : result;
    });
  };

  const reduce = (x: Dense, per: Per, f: (entries: Bounded[]) => Bounded): Dense => {
    if (x.extent === 'host' || x.extent === 'tensor' || x.extent === per) return x;
    const [byRow, byColumn] = VARIES[x.extent];
    return dense(per, (row, column) => {
      const entries: Bounded[] = [];
      for (let i = 0; i < (byRow ? rows : 1); i++) {
        for (let j = 0; j < (byColumn ? columns : 1); j++) {
          if ((per === 'row' && i !== row) || (per === 'column' && j !== column)) continue;
          entries.push(x.at(i, j));
        }
      }
      return f(entries);
    });
  };

  for (const line of program.instructions) {
    const at = (index: number) => values[index % values.length]!;
    switch (line.kind) {
      case 'constant':
        values.push(dense('host', () => ({ value: line.value, error: 0 })));
        break;
      case 'unary':
        values.push(compute([at(line.x)], BOUNDED_UNARY[line.op] as (x?: Bounded) => Bounded));
        break;
      case 'binary':
        values.push(
          compute([at(line.x), at(line.y)], BOUNDED_BINARY[line.op] as (x?: Bounded, y?: Bounded) => Bounded),
        );
        break;
      case 'select':
        values.push(
          compute(
            [at(line.condition), at(line.x), at(line.y)],
            boundedSelect as (c?: Bounded, x?: Bounded, y?: Bounded) => Bounded,
            true,
          ),
        );
        break;
      case 'reduce':
        if (isReducible(at(line.x).extent, line.reduction, line.per)) {
          values.push(reduce(at(line.x), line.per, entries => boundedReduction(line.reduction, entries)));
        }
        break;
    }
  }
  return values;
}

/** The entries of a value in the order in which a tensor of this extent stores them. */
export function entriesOf(value: Dense, extent: Extent, shape: Program['shape']): Bounded[] {
  const [rows, columns] = matrixView(shape);
  const [byRow, byColumn] = VARIES[extent];
  const entries: Bounded[] = [];
  for (let row = 0; row < (byRow ? rows : 1); row++) {
    for (let column = 0; column < (byColumn ? columns : 1); column++) {
      const entry = value.at(row, column);
      entries.push(value.extent === 'host' ? toFloat32(entry) : entry);
    }
  }
  return entries;
}
