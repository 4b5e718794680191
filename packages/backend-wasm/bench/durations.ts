/** How long something took, in milliseconds. */
export interface Duration {
  readonly wall: number;
  /** Time on a processor, which other programs on the machine disturb far less than the time on the wall. */
  readonly processor: number;
}

export function timed(work: () => void): Duration {
  const processorStart = process.cpuUsage();
  const start = performance.now();
  work();
  const wall = performance.now() - start;
  const { user, system } = process.cpuUsage(processorStart);
  return { wall, processor: (user + system) / 1000 };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** Median of the times on a processor. */
export function processorTime(durations: readonly Duration[]): number {
  return median(durations.map(({ processor }) => processor));
}
