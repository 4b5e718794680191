import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { randomKey, randomUniform } from '@frugaljs/core';
import { FROM_SOURCE } from '../../../tools/test-support/node-process.js';
import { viewBytes } from '../src/elements.js';
import type { SafetensorsReader } from '../src/index.js';
import { bitsOf } from './fixtures.js';
import { checkpointsIn, digestOf, makeRun } from './kill-process.js';

const script = fileURLToPath(new URL('kill-process.ts', import.meta.url));
/** Milliseconds after its first save at which a process is killed, at most: several saves long. */
const LONGEST = 400;

/** What a series of kills found. */
export interface KillReport {
  kills: number;
  /** Restores that gave back exactly the state whose digest the checkpoint holds. */
  intact: number;
  /** Kills that hit a save: they left a draft, or a checkpoint half removed. */
  interrupted: number;
  /** Steps reached over all processes. */
  steps: number;
  /** Whatever was wrong. */
  readonly problems: string[];
}

/** Kills a process that saves every step, again and again, with SIGKILL, and restores after each kill. */
export async function killRepeatedly(folder: string, kills: number, seed: number): Promise<KillReport> {
  const key = randomKey(seed, 'delays');
  const report: KillReport = { kills: 0, intact: 0, interrupted: 0, steps: 0, problems: [] };
  let known: ReadonlySet<string> = new Set();
  for (let i = 0; i < kills; i++) {
    const child = spawn(process.execPath, [...FROM_SOURCE, script, folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await firstSave(child);
    await new Promise(resolve => setTimeout(resolve, randomUniform(key, i) * LONGEST));
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    const [, signal] = (await ended) as [number | null, string | null];
    if (signal !== 'SIGKILL') report.problems.push(`a process ended with ${signal} before it was killed`);
    report.kills++;
    const left = readdirSync(folder).filter(name => name.startsWith('.'));
    // Drafts stay for an hour.
    if (left.some(name => !known.has(name))) report.interrupted++;
    known = new Set(left);
    await restoreAndCompare(folder, report);
  }
  return report;
}

async function firstSave(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr!.on('data', chunk => {
    said += chunk;
  });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the process ended before it saved: ${said}`);
  });
  ended.catch(() => {});
  await Promise.race([once(child.stdout!, 'data'), ended]);
}

async function restoreAndCompare(folder: string, report: KillReport): Promise<void> {
  const run = makeRun();
  try {
    const checkpoints = checkpointsIn(folder, line => report.problems.push(line));
    const latest = await checkpoints.latest();
    if (latest === null) throw new Error('no checkpoint left');
    const { step, trainer } = await latest.restore({ model: run.model.parameters, optimizer: run.optimizer });
    const state = await bitsIn((await latest.openOptimizer())!);
    if ((trainer as { digest: string }).digest !== digestOf(bitsOf(run.model.parameters), state))
      throw new Error(`step ${step} is not what was saved`);
    if (step <= report.steps) throw new Error(`step ${step} after step ${report.steps} was there`);
    report.steps = step;
    report.intact++;
    // The one with the lowest loss must be whole as well.
    await (await checkpoints.best())!.verify();
  } catch (error) {
    report.problems.push(`${error}`);
  } finally {
    run.optimizer.dispose();
    run.model.dispose();
  }
}

async function bitsIn(reader: SafetensorsReader): Promise<Record<string, string>> {
  const bits: Record<string, string> = {};
  for (const name of reader.tensors.keys())
    bits[name] = Buffer.from(viewBytes((await reader.read(name)).data)).toString('hex');
  await reader.close();
  return bits;
}
