/**
 * Clocks in milliseconds. `cpu` is the time of this process on a processor: on a machine that others use at the same
 * time it leaves out the time spent waiting for one (but not what others do to the caches).
 */
export const CLOCKS = {
  wall: (): number => performance.now(),
  cpu: (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
} as const;

export type ClockName = keyof typeof CLOCKS;

export const CLOCK_NAMES: readonly ClockName[] = Object.keys(CLOCKS) as ClockName[];

/** How long work takes on a clock, in milliseconds. */
export function stopwatch(clock: ClockName): (work: () => void) => number {
  const now = CLOCKS[clock];
  return work => {
    const start = now();
    work();
    return now() - start;
  };
}
