import { add, cast, expandDims, gather, range, reshape, scatterND, type Tensor, tidy } from '@tensorflow/tfjs-core';

// Gathers and scatters along one axis. Scattering is `scatterND`: its output starts as exact zeros. The kernels of
// `@frugaljs/backend-wasm` make both fast on wasm.

/** Above this, float32 no longer counts every integer. */
const LARGEST_EXACT = 2 ** 24;

/** The slices `x[indices]` along the first axis. */
export function takeSlices(x: Tensor, indices: Tensor): Tensor {
  return gather(x, indices);
}

/** Zeros of the given shape with `x` at `indices` along the first axis. */
export function putSlices(x: Tensor, indices: Tensor, shape: readonly number[]): Tensor {
  return tidy(() => scatterND(expandDims(indices, 1), x, [...shape]));
}

/** The columns `x[:, indices]` of a matrix. */
export function takeColumns(x: Tensor, indices: Tensor): Tensor {
  return gather(x, indices, 1);
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
