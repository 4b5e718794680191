import { matrixView, type Shape } from '@frugaljs/core';

/** The entries of a tensor by block: all together, by row or by column of the matrix it is seen as. */
export function blocksOf(x: ArrayLike<number>, shape: Shape, per: 'tensor' | 'row' | 'column'): number[][] {
  const [rows, columns] = matrixView(shape);
  const blocks: number[][] = [];
  for (let k = 0; k < rows * columns; k++) {
    const b = { tensor: 0, row: Math.floor(k / columns), column: k % columns }[per];
    blocks[b] ??= [];
    blocks[b].push(x[k]!);
  }
  return blocks;
}

/** The inverse of {@link blocksOf}. */
export function fromBlocks(blocks: number[][], shape: Shape, per: 'tensor' | 'row' | 'column'): number[] {
  const [rows, columns] = matrixView(shape);
  return Array.from({ length: rows * columns }, (_, k) => {
    const [i, j] = [Math.floor(k / columns), k % columns];
    return { tensor: blocks[0]?.[k], row: blocks[i]?.[j], column: blocks[j]?.[i] }[per]!;
  });
}

export function normOf(x: readonly number[]): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}
