import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FrugalError } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { Checkpoints, copyCheckpoint, openArchive, writeArchive } from '../src/index.js';
import { FolderStore, fileSink, fileSource } from '../src/node/index.js';
import { Crash, FAULTS, type Fault, type FaultPlan, withFault } from './faulty-files.js';

/** What was tried of one scenario. */
export interface FaultReport {
  readonly scenario: string;
  /** Calls of file operations that it makes: points at which one can fail. */
  readonly points: number;
  /** Points times kinds of faults. */
  readonly injected: number;
  /** Those after which what the scenario does had happened all the same. */
  readonly survived: number;
  readonly problems: readonly string[];
}

/** Something that a run does with its folder, in a process of its own. */
interface Scenario {
  readonly name: string;
  /**
   * @param told To be called with the step of each save that was reported as done.
   */
  act(folder: string, told: (step: number) => void): Promise<void>;
  /** Leaves a lease whose holder is gone. */
  readonly afterCrash?: true;
  /** Further checks of what the folder holds. */
  check?(folder: string): Promise<void>;
}

const quiet = { onWarning: () => {} };
/** In the folder of each scenario there are the steps 1 and 2. */
const keeping = (folder: string, keepLast = 2): Checkpoints =>
  new Checkpoints({ store: new FolderStore(join(folder, 'run')), keepLast, keepBest: 1, ...quiet });
const save = async (checkpoints: Checkpoints, step: number, told: (step: number) => void): Promise<void> => {
  const model = modelOf(step);
  try {
    const saving = (await checkpoints.save({ step, model, metric: -step, config: { step }, trainer: { step } }))!;
    await saving.done;
    told(step);
  } finally {
    tf.dispose(model);
  }
};

/** Weights that tell which step they are of. */
function modelOf(step: number): Record<string, tf.Tensor> {
  return { a: tf.fill([3], step), b: tf.fill([2, 2], -step) };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'prepare, save, thin out, release',
    act: async (folder, told) => {
      const checkpoints = keeping(folder);
      await checkpoints.prepare();
      await save(checkpoints, 3, told);
      await checkpoints.release();
    },
  },
  {
    name: 'save twice, keep one',
    act: async (folder, told) => {
      const checkpoints = keeping(folder, 1);
      await save(checkpoints, 3, told);
      await save(checkpoints, 4, told);
      await checkpoints.release();
    },
  },
  {
    name: 'take over, save',
    afterCrash: true,
    act: async (folder, told) => {
      const checkpoints = keeping(folder);
      await save(checkpoints, 3, told);
      await checkpoints.release();
    },
  },
  {
    name: 'thin out',
    act: async folder => {
      const checkpoints = keeping(folder, 1);
      await checkpoints.thinOut();
      await checkpoints.release();
    },
  },
  {
    name: 'latest, restore',
    act: async folder => {
      const model = variables(-9);
      const before = valuesOf(model);
      try {
        const saved = (await keeping(folder).latest())!;
        await saved.restore({ model });
        expectEqual(valuesOf(model), valuesOf(modelOf(2)), 'the weights restored');
      } catch (error) {
        expectEqual(valuesOf(model), before, 'the weights after a restore that failed');
        throw error;
      } finally {
        tf.dispose(model);
      }
    },
  },
  {
    name: 'archive, open, copy into another folder',
    act: async folder => {
      const sink = await fileSink(join(folder, 'saved.tar'));
      try {
        await writeArchive((await keeping(folder).latest())!, sink);
      } finally {
        await sink.close();
      }
      const source = await fileSource(join(folder, 'saved.tar'));
      try {
        await copyCheckpoint(await openArchive(source), new FolderStore(join(folder, 'copy')));
      } finally {
        await source.close();
      }
    },
    check: async folder => {
      const copies = new Checkpoints({ store: new FolderStore(join(folder, 'copy')), ...failing('the copy') });
      for (const copy of await copies.list()) await requireWhole(copies, copy.name);
    },
  },
];

/** Lets each call of a scenario fail in each way, and looks after each at what the folder holds. */
export async function tryAll(scenario: Scenario): Promise<FaultReport> {
  // What is synchronized thousands of times goes to memory where there is a place for it: the disk is played here anyway.
  const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const root = mkdtempSync(join(place, 'checkpoint-faults-'));
  try {
    const template = join(root, 'template');
    await makeTemplate(template, scenario.afterCrash ?? false);
    const whole = await attempt(scenario, template, join(root, 'whole'), 'EIO', -1);
    const problems = whole.problems.map(problem => `without a fault: ${problem}`);
    let [injected, survived] = [0, 0];
    for (const fault of FAULTS) {
      for (let at = 0; at < whole.plan.calls; at++) {
        const { plan, problems: found, hasEnded } = await attempt(scenario, template, join(root, 'try'), fault, at);
        injected++;
        if (hasEnded) survived++;
        problems.push(...found.map(problem => `${fault} at call ${at} (${plan.failed}): ${problem}`));
      }
    }
    return { scenario: scenario.name, points: whole.plan.calls, injected, survived, problems };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function makeTemplate(folder: string, withLease: boolean): Promise<void> {
  mkdirSync(folder);
  const checkpoints = keeping(folder);
  for (const step of [1, 2]) await save(checkpoints, step, () => {});
  if (withLease) {
    cpSync(join(folder, 'run/.lease'), join(folder, 'lease'), { recursive: true });
    await checkpoints.release();
    cpSync(join(folder, 'lease'), join(folder, 'run/.lease'), { recursive: true });
    rmSync(join(folder, 'lease'), { recursive: true });
    bury(folder);
  }
  await checkpoints.release();
}

/** Makes the holder of a lease one that is gone, as it would be if it had had a process of its own. */
function bury(folder: string): void {
  const lease = join(folder, 'run/.lease');
  for (const holder of existsSync(lease) ? readdirSync(lease) : []) {
    const path = join(lease, holder, 'holder.json');
    let known: object = {};
    try {
      known = JSON.parse(readFileSync(path, 'utf8')) as object;
    } catch {
      // One that cannot be read is waited for, which would take long.
    }
    const own = { machine: '', name: 'a process', since: 'then', renewed: 'then', patience: 30_000, ...known };
    writeFileSync(
      path,
      JSON.stringify({ ...own, ...(own.machine === '' && template), pid: 2 ** 30, task: `${2 ** 30} 1` }),
    );
    if (own.machine !== '') template = { machine: own.machine };
  }
}

let template: { machine?: string } = {};

async function attempt(
  scenario: Scenario,
  template: string,
  folder: string,
  fault: Fault,
  at: number,
): Promise<{ plan: FaultPlan; problems: string[]; hasEnded: boolean }> {
  rmSync(folder, { recursive: true, force: true });
  cpSync(template, folder, { recursive: true });
  const plan: FaultPlan = { folder, at, fault, calls: 0, failed: null };
  const problems: string[] = [];
  const done: number[] = [];
  let hasEnded = false;
  await withFault(plan, async () => {
    try {
      await scenario.act(folder, step => done.push(step));
      hasEnded = true;
    } catch (error) {
      const isTold = error instanceof FrugalError || error instanceof Crash || /injected/.test(`${error}`);
      if (!isTold) problems.push(`it failed with ${error}`);
    }
  });
  // Either its process has ended, or it stops using the folder.
  bury(folder);
  try {
    await requireSound(folder, done);
    await scenario.check?.(folder);
    const next = keeping(folder);
    await save(next, 10, step => done.push(step));
    await requireSound(folder, done);
    await next.release();
    const hidden = readdirSync(join(folder, 'run')).filter(name => name.startsWith('.'));
    const wrong = hidden.filter(name => !/^\.(draft|removed)-/.test(name));
    if (wrong.length > 0) problems.push(`${wrong} is left`);
  } catch (error) {
    problems.push(`${(error as Error).message}`);
  }
  return { plan, problems, hasEnded };
}

/** Every checkpoint in the folder is whole; the latest is the last one that was reported, or one after it. */
async function requireSound(folder: string, done: readonly number[]): Promise<void> {
  const checkpoints = new Checkpoints({ store: new FolderStore(join(folder, 'run')), ...failing('the folder') });
  const all = await checkpoints.list();
  const steps = all.map(({ step }) => step);
  if (all.length === 0) throw new Error('no checkpoint is left');
  for (const { name } of all) await requireWhole(checkpoints, name);
  const least = done.at(-1) ?? 2;
  if (steps[0]! < least) throw new Error(`step ${least} was reported, and the latest is ${steps[0]}`);
  if ((await checkpoints.latest())!.step !== steps[0]) throw new Error('the latest is not the one saved last');
}

async function requireWhole(checkpoints: Checkpoints, name: string): Promise<void> {
  const saved = await checkpoints.open(name);
  const model = variables(0);
  try {
    const { step, trainer } = await saved.restore({ model });
    expectEqual(valuesOf(model), valuesOf(modelOf(step)), name);
    expectEqual([trainer, await saved.config()], [{ step }, { step }], name);
  } finally {
    tf.dispose(model);
  }
}

function variables(value: number): Record<string, tf.Variable> {
  return Object.fromEntries(Object.entries(modelOf(value)).map(([name, tensor]) => [name, tf.variable(tensor)]));
}

function valuesOf(model: Readonly<Record<string, tf.Tensor>>): number[][] {
  return Object.values(model).map(tensor => [...tensor.dataSync()]);
}

function expectEqual(found: unknown, expected: unknown, what: string): void {
  const [a, b] = [found, expected].map(each => JSON.stringify(each));
  if (a !== b) throw new Error(`${what}: expected ${b}, found ${a}`);
}

/** What is passed over with a warning is visible, and not whole. */
function failing(what: string): { onWarning: (line: string) => void } {
  return {
    onWarning: line => {
      throw new Error(`${what}: ${line}`);
    },
  };
}
