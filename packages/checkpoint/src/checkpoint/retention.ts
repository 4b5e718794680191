/** What a decision about keeping needs to know of a checkpoint. */
export interface Kept {
  readonly name: string;
  readonly sequence: number;
  readonly metric: number | null;
}

/**
 * The checkpoints to remove: all but the `keepLast` saved last and the `keepBest` with the lowest metric, of equals the
 * later one.
 */
export function superfluous(checkpoints: readonly Kept[], keepLast: number, keepBest: number): readonly string[] {
  const newest = [...checkpoints].sort((a, b) => b.sequence - a.sequence);
  const best = newest.filter(({ metric }) => metric !== null).sort((a, b) => a.metric! - b.metric!);
  const kept = new Set([...newest.slice(0, keepLast), ...best.slice(0, keepBest)]);
  return newest.filter(checkpoint => !kept.has(checkpoint)).map(({ name }) => name);
}
