import { cosTurns, type Projector, requireKnownKeys, requireOneOf, type Site } from '@frugaljs/core';
import { dctMatrix } from '@frugaljs/linalg';
import {
  abs,
  add,
  cast,
  clone,
  div,
  equal,
  expandDims,
  floor,
  gather,
  matMul,
  mul,
  neg,
  range,
  reshape,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  tensor1d,
  tidy,
  topk,
  transpose,
} from '@tensorflow/tfjs-core';
import { type DenseSizes, denseDown, denseSizes, denseUp, denseUpRows, keptAxis } from './dense.js';
import { type RankOptions, requireSize } from './requirements.js';

export interface DctOptions extends RankOptions {
  /**
   * How the cosines are ranked: by the ℓ₁ norm (`l1`) or the ℓ₂ norm (`l2`) of the gradient's coefficients. The second
   * minimizes ‖G - ΠG‖; the first is less moved by single large entries. Default `l1`, as in the paper.
   */
  readonly norm?: 'l1' | 'l2';
}

/**
 * The r best columns of a fixed cosine basis Q (size a = min(m, n)), chosen by the gradient at the refresh:
 *
 *     m ≥ n:  S = G Q,   I = the r columns of S with the largest norm,  down(G) = G Q_I (m × r),   up(X) = X Q_Iᵀ
 *     m < n:  S = Qᵀ G,  I = the r rows of S with the largest norm,     down(G) = Q_Iᵀ G (r × n),  up(X) = Q_I X
 *
 * r = round(ρ a), ties to even. No singular value or QR decomposition, and no read-back from the device: choosing is one
 * matrix product and one top-k.
 *
 * Basis: r int32 indices per parameter, ascending, saved with the state. The cosines Q_I are made anew when needed from
 * a host table of 12a numbers per size, so that nothing but the indices stays on the device; that costs a fraction of
 * the matrix product it feeds. With r = a nothing is chosen: down and up are the identity and there is no basis.
 *
 * Transport is exact: the change of basis between two choices is a 0/1 matrix, for both degrees.
 *
 * @param options `density` ρ ∈ [0, 1] (default 0.25) or a fixed `rank`; `norm`.
 * @throws InvalidOptionError for an unknown option, a value out of range, and from `check` for a rank above min(m, n).
 * @throws UnsupportedShapeError from `check`, for a parameter that is not a matrix.
 *
 * Source: DCT-based column selection (arXiv 2505.17967).
 */
export function dct(options: DctOptions = {}): Projector<'frequencies'> {
  requireKnownKeys('dct', options, ['density', 'rank', 'norm']);
  const size = requireSize('dct', options);
  const norm = requireOneOf('dct.norm', options.norm ?? 'l1', ['l1', 'l2']);
  const sizes = (site: Site): DenseSizes => denseSizes('dct', site, 'std', size, 'projected');
  return {
    kind: 'dct',
    options: { ...size, norm },
    traits: { orthonormal: true, coordinate: false, basisFrom: 'gradient' },
    check: site => void sizes(site),
    reducedShape: site => sizes(site).reducedShape,
    keeps: site => keptAxis('dct', site, 'std'),
    basis: site => {
      const { rank, left, right } = sizes(site);
      const specs = left === undefined && right === undefined ? {} : { frequencies: { shape: [rank], dtype: 'int32' } };
      return specs as { readonly frequencies: { shape: [number]; dtype: 'int32' } };
    },
    fit: (g, _previous, { site }) => {
      const { rank, left, right } = sizes(site);
      const dimension = left ?? right;
      if (dimension === undefined) return {} as { readonly frequencies: Tensor };
      return { frequencies: tidy(() => chooseFrequencies(g as Tensor2D, dimension, right !== undefined, rank, norm)) };
    },
    down: (g, basis, site) => tidy(() => denseDown(g, factorsOf(sizes(site), basis.frequencies))),
    up: (x, basis, site) => tidy(() => denseUp(x, factorsOf(sizes(site), basis.frequencies))),
    upRows: (basis, site) => denseUpRows(factorsOf(sizes(site), basis.frequencies)),
    transport: (x, from, to, site) =>
      tidy(() => {
        const { left, right } = sizes(site);
        if (left === undefined && right === undefined) return clone(x);
        const same = cast(equal(expandDims(to.frequencies, 1), expandDims(from.frequencies, 0)), 'float32') as Tensor2D;
        return right === undefined ? matMul(same, x as Tensor2D) : matMul(x as Tensor2D, transpose(same));
      }),
  };
}

function factorsOf({ left, right }: DenseSizes, frequencies: Tensor): { left?: Tensor; right?: Tensor } {
  if (left !== undefined) return { left: dctVectors(left, frequencies) };
  if (right !== undefined) return { right: dctVectors(right, frequencies) };
  return {};
}

/** The frequencies of the largest coefficients, ascending, as int32 `[rank]`. */
function chooseFrequencies(
  g: Tensor2D,
  dimension: number,
  fromTheRight: boolean,
  rank: number,
  norm: 'l1' | 'l2',
): Tensor {
  const all = dctMatrix(dimension);
  const coefficients = fromTheRight ? matMul(g, all) : matMul(transpose(all), g);
  const magnitudes = norm === 'l1' ? abs(coefficients) : square(coefficients);
  const chosen = topk(sum(magnitudes, fromTheRight ? 0 : 1), rank).indices;
  // top-k of the negated numbers sorts them upwards; frequencies are exact as floats.
  return cast(neg(topk(neg(cast(chosen, 'float32')), rank).values), 'int32');
}

/**
 * Columns of the orthonormal cosine matrix of size a, Q_ij = √(2/a) cos(i (2j+1) π / 2a) with row 0 times √½, for the
 * j in `frequencies` (int32 `[r]`): an `[a, r]` matrix, made on the device and never read back.
 *
 * The cosines come from a host table, since a GPU's cosine may be off by 2⁻¹¹; the position in it, i (2j+1) modulo the
 * period 4a, is computed in floats that stay exact integers.
 */
export function dctVectors(size: number, frequencies: Tensor): Tensor2D {
  return tidy(() => {
    const period = 4 * size;
    const odd = add(mul(cast(frequencies, 'float32'), 2), 1);
    const row = expandDims(range(0, size), 1);
    const position = cast(add(productModulo(row, odd, size, period), period), 'int32');
    const count = frequencies.size;
    const cosines = reshape(gather(tensor1d(periodsOf(size)), reshape(position, [size * count])), [size, count]);
    const first = new Float32Array(size).fill(1);
    first[0] = Math.SQRT1_2;
    return mul(cosines, expandDims(tensor1d(first), 1)) as Tensor2D;
  });
}

const tables = new Map<number, Float32Array>();

/** √(2/a) cos(π k / 2a) for k = -4a … 8a-1, three periods, from position 0. */
function periodsOf(size: number): Float32Array {
  let table = tables.get(size);
  if (table === undefined) {
    const [period, scale] = [4 * size, Math.sqrt(2 / size)];
    table = Float32Array.from({ length: 3 * period }, (_, k) => scale * cosTurns((k % period) / period));
    tables.set(size, table);
  }
  return table;
}

/** Above this, float32 no longer counts every integer. */
const LARGEST_EXACT = 2 ** 24;
/** Odd factors are split at this number when a product would pass {@link LARGEST_EXACT}; good for sizes up to 23170. */
const SPLIT = 64;

/** row · odd, up to multiples of the period, from -period to 2 · period; for row < size and odd < 2 size. */
function productModulo(row: Tensor, odd: Tensor, size: number, period: number): Tensor {
  if (2 * size * size <= LARGEST_EXACT) return modulo(mul(row, odd), period);
  const high = floor(div(odd, SPLIT));
  const low = sub(odd, mul(high, SPLIT));
  return modulo(add(mul(modulo(mul(row, high), period), SPLIT), mul(row, low)), period);
}

/** x - period · ⌊x / period⌋ for exact integers. A GPU's division may round across an integer: one period off at most. */
function modulo(x: Tensor, period: number): Tensor {
  return sub(x, mul(floor(div(x, period)), period));
}
