// Tries the laws on everything built in, again and again with fresh seeds, and counts false alarms.
//
//   node --conditions=source --import tsx packages/testing/bench/repetitions.ts [--from N] [--to N] [--backend cpu|wasm]
//
// Repetition N uses seed 1000 + N, so a run in pieces covers what one run would, and a failure repeats by its number.
import { setBackend } from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import { parseArgs } from 'node:util';
import { formatReport, type Report } from '@frugaljs/testing';
import { SUITES } from '../test/built-in-suites.js';

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '0' },
    to: { type: 'string', default: '200' },
    backend: { type: 'string', default: 'cpu' },
  },
});
const [from, to] = [Number(values.from), Number(values.to)];
await setBackend(values.backend);

let [alarms, examples] = [0, 0];
const start = performance.now();
for (let repetition = from; repetition < to; repetition++) {
  const seed = 1000 + repetition;
  for (const suite of SUITES) {
    const report: Report = await suite(seed);
    examples += report.results.reduce((sum, { runs }) => sum + runs, 0);
    if (report.passed) continue;
    alarms++;
    console.log(`repetition ${repetition}:\n${formatReport(report)}`);
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${repetition + 1 - from} repetitions, ${examples} examples, ${alarms} alarms, ${seconds} s`);
}
process.exitCode = alarms > 0 ? 1 : 0;
