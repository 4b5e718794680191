import fc from 'fast-check';
import { expect, test } from 'vitest';
import { COMPOSITIONS } from '../../../tools/test-support/compositions.js';
import { histories, live } from './histories.js';

/** `HISTORIES_SEED=n HISTORIES_PATH=p HISTORIES=n npx vitest run packages/checkpoint/test/histories.test.ts` repeats. */
const SEED = Number(process.env['HISTORIES_SEED'] ?? 20_261);
const RUNS = Number(process.env['HISTORIES'] ?? 2000);
const PATH = process.env['HISTORIES_PATH'];

test('a run that was saved, killed and restored is the run that was left alone', async () => {
  const done: Record<string, number> = {};
  const property = fc.asyncProperty(histories(COMPOSITIONS), async history => {
    for (const [command, times] of Object.entries(await live(history))) done[command] = (done[command] ?? 0) + times;
  });
  const repeat = PATH === undefined ? {} : { path: PATH };
  const details = await fc.check(property, { seed: SEED, numRuns: RUNS, ...repeat });
  const commands = Object.values(done).reduce((total, times) => total + times, 0);
  console.log(`seed ${SEED}: ${details.numRuns} histories of ${commands} commands, ${JSON.stringify(done)}`);
  if (details.failed) {
    const history = JSON.stringify(details.counterexample?.[0], null, 1).replaceAll(/\n\s*/g, ' ');
    const again = `HISTORIES_SEED=${details.seed} HISTORIES_PATH=${details.counterexamplePath} npx vitest run packages/checkpoint/test/histories.test.ts`;
    expect.fail(`${String(details.errorInstance)}\nafter ${details.numShrinks} shrinks: ${history}\nrepeat: ${again}`);
  }
  if (PATH !== undefined) return;
  // Every command took effect, and often.
  for (const times of Object.values(done)) expect(times).toBeGreaterThan(RUNS / 20);
  expect(Object.keys(done)).toHaveLength(10);
}, 600_000);
