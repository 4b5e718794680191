// The runs that test the replay: `fixtures/simulated.json.gz`, a file of trajectories, and those that are simulated anew.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { SIMULATED_RELATIVES } from './simulated-relatives.js';
import { checkCase, readTrajectories, type TrajectoryCase } from './trajectory-file.js';

const bytes = readFileSync(new URL('fixtures/simulated.json.gz', import.meta.url));

export const SIMULATED: readonly TrajectoryCase[] = [
  ...readTrajectories(gunzipSync(bytes).toString()).map(checkCase),
  ...SIMULATED_RELATIVES,
];

/** A copy of the run of a name; the names say class and arguments. */
export function simulated(official: string, config: object = {}, start = ''): TrajectoryCase {
  const name = `${start}${official} ${JSON.stringify(config)}`;
  const found = SIMULATED.find(each => each.name === name);
  if (found === undefined) throw new Error(`There is no simulated run ${name}.`);
  return structuredClone(found);
}
