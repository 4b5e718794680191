import { randomKey, randomNormals, type Shape, sizeOf } from '@frugaljs/core';
import fc from 'fast-check';
import { type Law, law, require } from '../law.js';
import { farthest, maxAbs, scaled } from '../numerics.js';
import { CLOSE, prepared, type RuleExample, type RuleFixture, RuleRun, ruleExamples } from './fixture.js';

/** Steps before and after the state is looked at. */
const STEPS = 3;

/** Runs in which a slot may show its use: at most, and at least, as the slots of some shapes are others. */
const MOST_RUNS = 24;
const LEAST_RUNS = 4;

const gradients = (shape: Shape, count: number): Float32Array[] =>
  Array.from({ length: count }, (_, t) => randomNormals(randomKey(1, 'gradient', t), sizeOf(shape)));

/** Laws of what a rule keeps between steps. */
export const RULE_STATE_LAWS: readonly Law<RuleFixture>[] = [
  law({
    name: 'state is of use',
    formula: 'every slot has gradients for which a later direction changes when the slot is set back to its start',
    why: 'A slot that is not updated, or not read, is memory that helps nothing: its next value was likely forgotten.',
    needs: ['inputs untouched', 'deterministic'],
    effort: 'once',
    example: () => fc.record({ seed: fc.nat({ max: 9999 }) }),
    check: async (fixture: RuleFixture, { seed }) => {
      const examples = fc.sample(ruleExamples(fixture, 1), { seed, numRuns: MOST_RUNS });
      const [seen, used] = [new Set<string>(), new Set<string>()];
      for (const [i, example] of examples.entries()) {
        if (i >= LEAST_RUNS && used.size === seen.size) return;
        for (const [slot, matters] of await slotsOfUse(fixture, example)) {
          seen.add(slot);
          if (matters) used.add(slot);
        }
      }
      const idle = [...seen].filter(slot => !used.has(slot));
      require(idle.length === 0, () =>
        `set back after ${STEPS} steps, ${idle.join(' and ')} changes none of the next ${STEPS} directions in ${examples.length} runs`);
    },
  }),
  law({
    name: 'degree of the state',
    formula: 's(2G) = 4 s(G) ⟹ degree 2, s(2G) = 2 s(G) ⟹ degree 1',
    why: 'Squares that are carried to another subspace like momentum may become negative there, and their roots NaN.',
    needs: ['deterministic', 'any finite gradient'],
    example: fixture => ruleExamples(fixture, 1),
    check: async (fixture: RuleFixture, example) => {
      const { rule, shape } = prepared(fixture, example);
      const [run, doubled] = [new RuleRun(rule, shape), new RuleRun(rule, shape)];
      const stream = gradients(shape, STEPS);
      let [slots, others]: Readonly<Record<string, Float32Array>>[] = [{}, {}];
      const factors = new Map<string, Set<number>>();
      for (const g of stream) {
        slots = (await run.step(g)).slots;
        others = (await doubled.step(scaled(g, 2))).slots;
        for (const [name, values] of Object.entries(slots)) {
          const size = maxAbs(values);
          const fitting = [2, 4].filter(
            by => size > 0 && farthest(others![name]!, scaled(values, by)).distance <= by * CLOSE * size,
          );
          const before = factors.get(name);
          factors.set(name, new Set(fitting.filter(by => before?.has(by) ?? true)));
        }
      }
      for (const [name, { degree = 1 }] of Object.entries(run.specs)) {
        const [factor] = factors.get(name) ?? [];
        require(factor === undefined || factor === 2 ** degree, () =>
          `twice the gradients make slot ${name} ${factor} times as large, so its degree is ${factor === 4 ? 2 : 1}, declared is ${degree}`);
      }
    },
  }),
];

/** Whether setting a slot back to its initial value in the middle of a run changes what comes. */
async function slotsOfUse(fixture: RuleFixture, example: RuleExample): Promise<ReadonlyMap<string, boolean>> {
  const found = new Map<string, boolean>();
  let made: ReturnType<typeof prepared>;
  try {
    made = prepared(fixture, example);
  } catch (error) {
    if (fc.PreconditionFailure.isFailure(error)) return found;
    throw error;
  }
  const { rule, shape } = made;
  const stream = gradients(shape, 2 * STEPS);
  const run = new RuleRun(rule, shape);
  let saved: Readonly<Record<string, Float32Array>> = {};
  for (const g of stream.slice(0, STEPS)) saved = (await run.step(g)).slots;
  const directionsFrom = async (slots: Readonly<Record<string, Float32Array>>): Promise<Float32Array[]> => {
    const resumed = new RuleRun(rule, shape);
    resumed.resume(slots, STEPS);
    const directions: Float32Array[] = [];
    for (const g of stream.slice(STEPS)) directions.push((await resumed.step(g)).direction);
    return directions;
  };
  const expected = await directionsFrom(saved);
  for (const [name, { initial = 0 }] of Object.entries(run.specs)) {
    const changed = await directionsFrom({ ...saved, [name]: saved[name]!.map(() => initial) });
    found.set(
      name,
      changed.some((d, t) => farthest(d, expected[t]!).distance !== 0),
    );
  }
  return found;
}
