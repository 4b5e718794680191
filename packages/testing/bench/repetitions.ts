// Tries the laws on everything built in, again and again with fresh seeds, and counts false alarms.
//
//   node --conditions=@frugaljs/source --import tsx packages/testing/bench/repetitions.ts
//     [--from N] [--to N] [--backend cpu|wasm] [--only SUITE]… [--log FILE]
//
// Repetition N uses seed 1000 + N, so a failure repeats by its number. With a log, a line of JSON per repetition, a run
// that was cut off goes on where it stopped when it is started again with the same arguments.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import { parseArgs } from 'node:util';
import { formatReport } from '@frugaljs/testing';
import { LAW_SUITES } from '../../../tools/test-support/law-suites.js';

/** What became of one repetition: a line of the log. */
interface Repetition {
  readonly repetition: number;
  readonly backend: string;
  readonly examples: number;
  /** Suites with a broken law. */
  readonly alarms: number;
  readonly seconds: number;
}

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '0' },
    to: { type: 'string', default: '200' },
    backend: { type: 'string', default: 'cpu' },
    only: { type: 'string', multiple: true },
    log: { type: 'string' },
  },
});
const [from, to] = [Number(values.from), Number(values.to)];
const { backend, log, only } = values;
const suites = LAW_SUITES.filter(({ name }) => only === undefined || only.includes(name));
if (suites.length === 0)
  throw new Error(`--only ${only}: expected ${LAW_SUITES.map(({ name }) => `"${name}"`).join(', ')}`);
if (!(await setBackend(backend))) throw new Error(`--backend ${backend} does not start, expected cpu or wasm`);

const done = new Map(earlier().map(line => [line.repetition, line]));
for (let repetition = from; repetition < to; repetition++) {
  if (done.has(repetition)) continue;
  const line = await repeat(repetition);
  done.set(repetition, line);
  if (log !== undefined) appendFileSync(log, `${JSON.stringify(line)}\n`);
  const megabytes = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
  const { examples, alarms, seconds } = line;
  console.log(
    `repetition ${repetition} (${done.size} of ${to - from}): ${examples} examples, ${alarms} alarms, ${seconds} s, ${megabytes} MiB`,
  );
}

const total = (key: 'examples' | 'alarms' | 'seconds'): number =>
  [...done.values()].reduce((sum, line) => sum + line[key], 0);
console.log(
  `${suites.length} suites × ${done.size} repetitions on ${backend}, seeds ${1000 + from} to ${999 + to}: ${total('examples')} examples, ${total('alarms')} alarms, ${total('seconds')} s`,
);
process.exitCode = total('alarms') > 0 ? 1 : 0;

async function repeat(repetition: number): Promise<Repetition> {
  let [examples, alarms] = [0, 0];
  const start = performance.now();
  for (const suite of suites) {
    const report = await suite.check({ seed: 1000 + repetition });
    examples += report.results.reduce((sum, { runs }) => sum + runs, 0);
    if (report.passed) continue;
    alarms++;
    console.log(`repetition ${repetition}:\n${formatReport(report)}`);
  }
  return { repetition, backend, examples, alarms, seconds: Math.round((performance.now() - start) / 1000) };
}

/** The repetitions that the log already holds. */
function earlier(): Repetition[] {
  if (log === undefined || !existsSync(log)) return [];
  const text = readFileSync(log, 'utf8');
  // A run that was cut off may leave half a line, which the next one must not be appended to.
  if (!text.endsWith('\n')) appendFileSync(log, '\n');
  return text
    .split('\n')
    .filter(line => line.endsWith('}'))
    .map(line => JSON.parse(line) as Repetition)
    .filter(line => line.backend === backend && line.repetition >= from && line.repetition < to);
}
