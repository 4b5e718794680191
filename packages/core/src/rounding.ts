/**
 * Rounds to the nearest integer, ties to the even one, as Python's `round` does: 2.5 → 2, 3.5 → 4. Ranks and block
 * counts of the reference implementations are rounded so; `Math.round` differs at every tie.
 */
export function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction < 0.5) return floor;
  if (fraction > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
