import {
  add,
  cast,
  expandDims,
  gather,
  gatherND,
  getBackend,
  range,
  reshape,
  scatterND,
  type Tensor,
  tidy,
} from '@tensorflow/tfjs-core';

// Gathers and scatters along one axis, with the tfjs operations that are fast where they run. The wasm backend moves
// single elements in `gather` but whole slices in `gatherND`, so there the latter is 10 to 50 times faster; on cpu it is
// the other way round by a factor of two. Scattering is `scatterND` everywhere: its output starts as exact zeros.

/** Above this, float32 no longer counts every integer. */
const LARGEST_EXACT = 2 ** 24;

function copiesSlices(): boolean {
  return getBackend() === 'wasm';
}

/** The slices `x[indices]` along the first axis. */
export function takeSlices(x: Tensor, indices: Tensor): Tensor {
  if (!copiesSlices()) return gather(x, indices);
  return tidy(() => gatherND(x, expandDims(indices, 1)));
}

/** Zeros of the given shape with `x` at `indices` along the first axis. */
export function putSlices(x: Tensor, indices: Tensor, shape: readonly number[]): Tensor {
  return tidy(() => scatterND(expandDims(indices, 1), x, [...shape]));
}

/** The columns `x[:, indices]` of a matrix. */
export function takeColumns(x: Tensor, indices: Tensor): Tensor {
  if (!copiesSlices()) return gather(x, indices, 1);
  const [rows, columns] = x.shape as [number, number];
  return tidy(() => {
    const taken = gatherND(reshape(x, [rows * columns]), flatPositions(indices, rows, columns));
    return reshape(taken, [rows, indices.size]);
  });
}

/** A matrix of zeros with the columns of `x` at `indices`. */
export function putColumns(x: Tensor, indices: Tensor, columns: number): Tensor {
  const rows = x.shape[0]!;
  return tidy(() => {
    const positions = flatPositions(indices, rows, columns);
    return reshape(scatterND(positions, reshape(x, [x.size]), [rows * columns]), [rows, columns]);
  });
}

/**
 * Positions of the entries `[:, indices]` in the flattened matrix, as `[entries, 1]`. Added as floats while those are
 * exact: wasm broadcasts int32 additions about thirty times slower.
 */
function flatPositions(indices: Tensor, rows: number, columns: number): Tensor {
  const type = rows * columns <= LARGEST_EXACT ? 'float32' : 'int32';
  const starts = reshape(range(0, rows * columns, columns, type), [rows, 1]);
  return cast(reshape(add(starts, cast(indices, type)), [rows * indices.size, 1]), 'int32');
}
