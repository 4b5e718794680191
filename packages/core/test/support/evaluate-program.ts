import { blockSize, type Extent, matrixView, type NodeExtent } from '@frugaljs/core';
import { BOUNDED_BINARY, BOUNDED_UNARY, type Bounded, boundedReduction, boundedSelect, toFloat32 } from './bounded.js';
import { inputExtents, isReducible, type Per, type Program, poolEntry, SCALARS, scalarsOf } from './program.js';

/** All entries of a value as a dense matrix, however few of them differ. */
export interface Dense {
  readonly extent: NodeExtent;
  readonly at: (row: number, column: number) => Bounded;
}

/** How many rows and columns, side by side, have one value: what a dense matrix of the value looks like. */
function pitch(extent: NodeExtent): readonly [rows: number, columns: number] {
  const all = Number.POSITIVE_INFINITY;
  const size = blockSize(extent);
  if (size !== null) return [1, size];
  return [extent === 'row' || extent === 'element' ? 1 : all, extent === 'column' || extent === 'element' ? 1 : all];
}

function widest(extents: readonly NodeExtent[]): NodeExtent {
  if (extents.every(extent => extent === 'host')) return 'host';
  const pitches = extents.map(pitch);
  const rows = pitches.some(([height]) => height === 1);
  const columns = Math.min(...pitches.map(([, width]) => width));
  if (columns === 1) return rows ? 'element' : 'column';
  if (columns < Number.POSITIVE_INFINITY) return `block ${columns}`;
  return rows ? 'row' : 'tensor';
}

/** How many values there are along an axis, and which of them a row or column has. */
function along(size: number, width: number): { readonly count: number; readonly of: (i: number) => number } {
  return { count: Math.max(1, Math.ceil(size / width)), of: i => Math.floor(i / width) };
}

/**
 * Computes a program entry by entry in float64 with error bounds, without graph, tensors or broadcasting: the same lines
 * as `trace`, in the same order.
 */
export function evaluateProgram(program: Program): Dense[] {
  const [rows, columns] = matrixView(program.shape);
  const scalars = scalarsOf(program);

  const dense = (extent: NodeExtent, entry: (row: number, column: number) => Bounded): Dense => {
    const [height, width] = pitch(extent);
    const [down, across] = [along(rows, height), along(columns, width)];
    const table = Array.from({ length: down.count }, (_, row) =>
      Array.from({ length: across.count }, (_, i) => entry(row, i === 0 ? 0 : i * width)),
    );
    return { extent, at: (row, column) => table[down.of(row)]![across.of(column)]! };
  };

  const values: Dense[] = [
    ...Object.entries(inputExtents(program)).map(([name, extent], ordinal) =>
      dense(extent, (row, column) => {
        const [, width] = pitch(extent);
        const across = along(columns, width);
        const index = program.filled.includes(name) ? 0 : row * across.count + across.of(column);
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
    if (per === 'block' && blockSize(x.extent) !== null) return x;
    const [height, width] = pitch(x.extent);
    const extent = per === 'block' ? (`block ${program.block}` as const) : per;
    return dense(extent, (row, column) => {
      const entries: Bounded[] = [];
      for (let i = 0; i < (height === 1 ? rows : 1); i++) {
        for (let j = 0; j < columns; j += width) {
          if ((per === 'row' || per === 'block') && i !== row) continue;
          if (per === 'column' && j !== column) continue;
          if (per === 'block' && (j < column || j >= column + program.block)) continue;
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
          const { reduction, per, x } = line;
          const full = (entries: Bounded[]): Bounded[] =>
            per === 'block' && reduction === 'mean'
              ? Array.from({ length: program.block }, (_, i) => entries[i] ?? { value: 0, error: 0 })
              : entries;
          values.push(reduce(at(x), per, entries => boundedReduction(reduction, full(entries))));
        }
        break;
    }
  }
  return values;
}

/** The entries of a value in the order in which a tensor of this extent stores them. */
export function entriesOf(value: Dense, extent: Extent, shape: Program['shape']): Bounded[] {
  const [rows, columns] = matrixView(shape);
  const [height, width] = pitch(extent);
  const entries: Bounded[] = [];
  for (let row = 0; row < rows; row += height) {
    for (let column = 0; column < columns; column += width) {
      const entry = value.at(row, column);
      entries.push(value.extent === 'host' ? toFloat32(entry) : entry);
    }
  }
  return entries;
}
