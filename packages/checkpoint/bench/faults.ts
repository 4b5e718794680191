// node --conditions=@frugaljs/source --import tsx packages/checkpoint/bench/faults.ts [PART_OF_A_NAME]
// Lets every call of the file system fail that saving, thinning out, reading and archiving make, in every way: a table.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type FaultReport, SCENARIOS, tryAll } from '../test/fault-points.js';

const [part = ''] = process.argv.slice(2);
await tf.setBackend('cpu');
const reports: FaultReport[] = [];
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(part))) reports.push(await tryAll(scenario));
console.table(reports.map(({ problems, ...report }) => ({ ...report, problems: problems.length })));
for (const { scenario, problems } of reports) for (const problem of problems) console.error(`${scenario}: ${problem}`);
process.exitCode = reports.some(({ problems }) => problems.length > 0) ? 1 : 0;
