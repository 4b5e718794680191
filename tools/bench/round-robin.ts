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

/** Milliseconds; what takes longer than this does not depend on what ran before. */
const QUICK = 250;

/** Even slow contestants are measured this often, if there are as many rounds. */
const FEWEST = 3;

/**
 * Measures contestants in turns, one step each per round, so that a slow minute of the machine hits all alike.
 * Before the step that is measured, garbage is collected and a step is taken that does not count: a step of training
 * follows others of its own kind, and finds neither the garbage nor the caches of another method.
 *
 * @returns The milliseconds of every contestant's rounds.
 */
export async function roundRobin(
  contestants: readonly Contestant[],
  { rounds, warmUp, budget }: Schedule,
): Promise<number[][]> {
  const fastest: number[] = [];
  for (const contestant of contestants) {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < warmUp; i++) {
      best = Math.min(best, await contestant.time());
      // One step of a contestant this slow is warm-up enough.
      if (best > budget / FEWEST) break;
    }
    fastest.push(best);
  }
  const turns = fastest.map(best => Math.min(rounds, Math.max(FEWEST, Math.floor(budget / best))));
  const samples: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      if (!isTurn(round, rounds, turns[i]!)) continue;
      collectGarbage();
      if (fastest[i]! < QUICK) await contestant.time();
      samples[i]!.push(await contestant.time());
    }
  }
  return samples;
}

/** Spreads `turns` evenly over the rounds. */
function isTurn(round: number, rounds: number, turns: number): boolean {
  return Math.floor(((round + 1) * turns) / rounds) > Math.floor((round * turns) / rounds);
}
