import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { randomKey, randomUniform } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { bundle } from './bundle.js';
import { checkpointsIn, digestOf, FOLDERS, weightsOf } from './kill-process.js';

/** Milliseconds after all folders have a holder at which a process is killed, at most: several saves long. */
const LONGEST = 60;

/** What a series of kills found. */
export interface KillReport {
  kills: number;
  /** Restores that gave back exactly the state whose digest the checkpoint holds: one for each folder and kill. */
  intact: number;
  /** Folders in which a kill hit a save: what was being written or removed was left. */
  interrupted: number;
  /** Workers that were refused the folder that another one had. */
  refused: number;
  /** Saves that were reported as done. */
  saves: number;
  /** Whatever was wrong. */
  readonly problems: string[];
}

/**
 * Kills a process in which two workers save, again and again, with SIGKILL, and restores after each kill. `lanes` of them
 * at a time, each in a folder of its own.
 */
export async function killRepeatedly(folder: string, kills: number, seed: number, lanes = 2): Promise<KillReport> {
  const program = await bundle(new URL('kill-process.ts', import.meta.url), join(folder, 'kill.mjs'));
  const report: KillReport = { kills: 0, intact: 0, interrupted: 0, refused: 0, saves: 0, problems: [] };
  const key = randomKey(seed, 'delays');
  let left = kills;
  const lane = async (number: number): Promise<void> => {
    const root = join(folder, `${number}`);
    mkdirSync(root);
    const last = new Map<string, number>(FOLDERS.map(name => [name, 0]));
    while (left-- > 0) await killOnce(program, root, randomUniform(key, left) * LONGEST, last, report);
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
  return report;
}

async function killOnce(
  program: string,
  root: string,
  delay: number,
  last: Map<string, number>,
  report: KillReport,
): Promise<void> {
  const child = spawn(process.execPath, [program, root], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [said, complained] = ['', ''];
  const ended = once(child, 'close');
  child.stderr.on('data', chunk => {
    complained += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    child.on('close', () => reject(new Error(`the process ended before it saved: ${said} ${complained}`)));
    child.stdout.setEncoding('utf8').on('data', chunk => {
      said += chunk;
      if (FOLDERS.every(name => new RegExp(`^${name} \\d`, 'm').test(said)) && said.includes('refused')) resolve();
    });
  });
  await new Promise(resolve => setTimeout(resolve, delay));
  child.kill('SIGKILL');
  await ended;
  report.kills++;
  for (const line of said.split('\n').slice(0, -1)) {
    const [name, what] = line.split(' ') as [string, string];
    if (name === 'both' && what === 'refused') report.refused++;
    else if (!/^\d+$/.test(what)) report.problems.push(line);
    else {
      if (Number(what) <= last.get(name)!) report.problems.push(`${line} after step ${last.get(name)} was there`);
      last.set(name, Number(what));
      report.saves++;
    }
  }
  for (const name of FOLDERS) await restoreAndCompare(join(root, name), name, last, report);
}

async function restoreAndCompare(
  folder: string,
  name: string,
  last: Map<string, number>,
  report: KillReport,
): Promise<void> {
  const lease = join(folder, '.lease');
  const holders = existsSync(lease) ? readdirSync(lease) : [];
  if (holders.some(holder => readdirSync(join(lease, holder)).length > 1)) report.interrupted++;
  const model = Object.fromEntries(
    Object.entries(weightsOf(0)).map(([key, tensor]) => [key, tf.variable(tensor, false)]),
  );
  try {
    const checkpoints = checkpointsIn(folder, line => report.problems.push(line));
    for (const each of await checkpoints.list()) await each.verify();
    const { step, trainer } = await (await checkpoints.latest())!.restore({ model });
    if ((trainer as { digest: string }).digest !== digestOf(model)) throw new Error(`${step} is not what was saved`);
    // One that was committed and not reported any more is there, too.
    if (step !== last.get(name) && step !== last.get(name)! + 1) throw new Error(`${step}, and not ${last.get(name)}`);
    last.set(name, step);
    report.intact++;
  } catch (error) {
    report.problems.push(`${name}: ${error}`);
  } finally {
    tf.dispose(model);
  }
}
