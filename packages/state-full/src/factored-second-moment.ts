import type { Value } from '@frugaljs/core';

/**
 * The two factors of √V̂ for the rank-one estimate V̂ = R Cᵀ / mean(R): one per row, √R / √mean R, and one per column,
 * √C. R holds the mean of each row of squares and C of each column, so mean(R) = mean(C), and V̂ is exact when V has
 * rank one. The product R Cᵀ itself is never formed: it would leave the range of float32 long before its root does.
 */
export function factoredRoot(r: Value, c: Value): { readonly row: Value; readonly column: Value } {
  // Roots first: a row without gradient has R = ε₁, and R / mean R would be a subnormal number, which GPUs take for 0.
  return { row: r.sqrt().divNoNan(r.mean().sqrt()), column: c.sqrt() };
}
