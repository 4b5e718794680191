import { COMPOSITIONS, PLACES } from '../test-support/compositions.js';
import { CALLS, describe as describeOutcomes, disturb } from './allocations.js';
import { describe, type Loop, optimizerLoops, refreshLoops, stepLoops, watch } from './growth.js';

const USAGE = `npm run soak -- steps        20,000 steps of several recipes
npm run soak -- optimizers   2,000 optimizers of other constants
npm run soak -- refreshes    3,000 refreshes of each of four projectors
npm run soak -- allocations  a failure at every allocation and kernel of a call; names of compositions may follow
Each on cpu and wasm. Ends with an error when something grows or is left half.`;

/** Writes a line of the report. */
type Print = (line: string) => void;

/** Runs one of the soaks and returns the exit code. */
export async function command(args: readonly string[], print: Print): Promise<number> {
  switch (args[0]) {
    case 'steps':
      return grow(stepLoops(20_000), print);
    case 'optimizers':
      return grow(optimizerLoops(2000), print);
    case 'refreshes':
      return grow(refreshLoops(3000), print);
    case 'allocations':
      return failEverywhere(args.slice(1), print);
    default:
      print(USAGE);
      return args[0] === '--help' ? 0 : 1;
  }
}

async function grow(loops: readonly Loop[], print: Print): Promise<number> {
  let code = 0;
  for (const loop of loops) {
    const growth = await watch(loop);
    print(describe(growth));
    if (growth.faults.length > 0) code = 1;
  }
  return code;
}

async function failEverywhere(names: readonly string[], print: Print): Promise<number> {
  const unknown = names.filter(name => !COMPOSITIONS.includes(name));
  if (unknown.length > 0) {
    print(`unknown compositions ${unknown.join(', ')}; there are ${COMPOSITIONS.join(', ')}`);
    return 1;
  }
  const chosen = names.length === 0 ? COMPOSITIONS : names;
  const total = { points: 0, unchanged: 0, torn: 0, unharmed: 0, faults: 0 };
  const note = async (disturbed: Parameters<typeof disturb>[0]): Promise<void> => {
    const outcomes = await disturb(disturbed);
    for (const key of ['points', 'unchanged', 'torn', 'unharmed'] as const) total[key] += outcomes[key];
    total.faults += outcomes.faults.length;
    if (outcomes.faults.length > 0) print(describeOutcomes(disturbed, outcomes));
  };
  for (const place of PLACES) {
    for (const composition of chosen) {
      for (const after of [0, 4]) await note({ ...place, composition, call: 'an update', after });
      for (const call of CALLS) await note({ ...place, composition, call, after: 3, settings: { accumulate: 2 } });
      await note({ ...place, composition, call: 'an update', after: 4, duration: 'from then on' });
    }
    print(`${place.backend} ${place.kernels}: ${chosen.length} compositions, so far ${JSON.stringify(total)}`);
  }
  return total.faults === 0 ? 0 : 1;
}
