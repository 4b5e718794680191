import type { Row } from './row.js';

/** Two methods of one run side by side. */
export interface Comparison {
  readonly name: string;
  /** Median of the first over median of the second. */
  readonly timeRatio: number;
}

type Place = readonly [backend: string, method: string];

/** Pairs of which the first should not take much longer than the second. */
const PAIRS: readonly (readonly [Place, Place])[] = [
  [
    ['*', 'custom-rule'],
    ['*', 'adamW'],
  ],
  [
    ['*', 'frugal-svd'],
    ['*', 'svd-products'],
  ],
  ...['adamW', 'frugal-blockwise'].map((method): readonly [Place, Place] => [
    ['*', method],
    ['torch', 'adamW-fused'],
  ]),
  ...['frugal-blockwise', 'frugal-rows', 'frugal-columns', 'frugal-randk', 'frugal-svd'].map(
    (method): readonly [Place, Place] => [
      ['*', method],
      ['torch', method],
    ],
  ),
  [
    ['*', 'svd-refresh'],
    ['torch', 'linalg-svd'],
  ],
];

/** The comparisons for which both sides were measured; `*` stands for every backend, the same on both sides. */
export function comparisons(rows: readonly Row[]): Comparison[] {
  const find = (backend: string, method: string): Row | undefined =>
    rows.find(row => row.backend === backend && row.method === method);
  const backends = [...new Set(rows.map(({ backend }) => backend))].filter(name => name !== 'torch');
  return PAIRS.flatMap(([[, method], [otherBackend, otherMethod]]) =>
    backends.flatMap(backend => {
      const [first, second] = [find(backend, method), find(otherBackend === '*' ? backend : otherBackend, otherMethod)];
      if (first === undefined || second === undefined) return [];
      const name = `${first.backend} ${first.method} / ${second.backend} ${second.method}`;
      return [{ name, timeRatio: first.medianMs / second.medianMs }];
    }),
  );
}
