// node --conditions=@frugaljs/source --import tsx packages/checkpoint/bench/kill.ts [KILLS] [SEED]
// Kills a process whose two workers save every step with SIGKILL at random moments, and restores after every kill.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { killRepeatedly } from '../test/killing.js';

const [kills = '1000', seed = '1'] = process.argv.slice(2);
await tf.setBackend('cpu');
const folder = mkdtempSync(join(tmpdir(), 'checkpoint-kill-'));
try {
  const { problems, ...report } = await killRepeatedly(folder, Number(kills), Number(seed));
  console.table(report);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
