import { collectGarbage } from './collect-garbage.js';

/** Something that is measured once per round. */
export interface Contestant {
  /** Takes one step and returns its milliseconds. */
  time(): number | Promise<number>;
}

export interface Schedule {
  readonly rounds: number;
  /** Steps before the first round: kernels are compiled, state is made, engines optimize. */
  readonly warmUp: number;
  /** Milliseconds one contestant may take in all rounds together; one that is slower sits out some rounds. */
  readonly budget: number;
}

/** Even slow contestants are measured this often, if there are as many rounds. */
const FEWEST = 3;

/**
 * Measures contestants in turns, one step each per round, so that a slow minute of the machine hits all alike.
 * Garbage is collected between the turns, outside of the measurement.
 *
 * @returns The milliseconds of every contestant's rounds.
 */
export async function roundRobin(
  contestants: readonly Contestant[],
  { rounds, warmUp, budget }: Schedule,
): Promise<number[][]> {
  const turns: number[] = [];
  for (const contestant of contestants) {
    let fastest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < warmUp; i++) {
      fastest = Math.min(fastest, await contestant.time());
      // One step of a contestant this slow is warm-up enough.
      if (fastest > budget / FEWEST) break;
    }
    turns.push(Math.min(rounds, Math.max(FEWEST, Math.floor(budget / fastest))));
  }
  const samples: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      if (!isTurn(round, rounds, turns[i]!)) continue;
      collectGarbage();
      samples[i]!.push(await contestant.time());
    }
  }
  return samples;
}

/** Spreads `turns` evenly over the rounds. */
function isTurn(round: number, rounds: number, turns: number): boolean {
  return Math.floor(((round + 1) * turns) / rounds) > Math.floor((round * turns) / rounds);
}
