import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs-core';
import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { FROM_SOURCE } from '../../../tools/test-support/node-process.js';
import { CheckpointHeldError, type CheckpointStore, Checkpoints, IndexedDbStore, MemoryStore } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { bundle } from './bundle.js';
import '@tensorflow/tfjs-backend-cpu';
import 'fake-indexeddb/auto';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const model = { w: tf.tensor1d([1, 2]) };
const runIn = (store: CheckpointStore, onWarning: (line: string) => void = () => {}): Checkpoints =>
  new Checkpoints({ store, keepLast: 2, keepBest: 0, onWarning });
const save = async (run: Checkpoints, step: number): Promise<string> => (await run.save({ step, model }))!.done;
const inFolder = (folder: string, onWarning?: (line: string) => void) => runIn(new FolderStore(folder), onWarning);
const visible = (folder: string): string[] =>
  readdirSync(folder)
    .filter(name => !name.startsWith('.'))
    .sort();
/** What lies in the lease of a folder: the folder of its holder. */
const holderIn = (folder: string): string => `${folder}/.lease/${readdirSync(`${folder}/.lease`)[0]}`;
const recordIn = (folder: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`${holderIn(folder)}/holder.json`, 'utf8')) as Record<string, unknown>;
const rewrite = (folder: string, change: object): void =>
  writeFileSync(`${holderIn(folder)}/holder.json`, JSON.stringify({ ...recordIn(folder), ...change }));
/** As if the rest of the time that a holder is given had passed by the next look at its record. */
function letTimePass(): void {
  const real = performance.now.bind(performance);
  let looks = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => real() + (looks++ < 2 ? 0 : 3_700_000));
}
const elsewhere = { machine: 'another one', name: 'process 7 on another machine' };

describe('one folder, two runs', () => {
  test('the second one is refused, and told who holds it and what to do; the first goes on', async () => {
    const folder = temporaryFolder();
    const [first, second] = [inFolder(folder), inFolder(folder)];
    await first.prepare();
    for (const attempt of [() => second.prepare(), () => save(second, 9), () => second.thinOut()]) {
      const refusal: CheckpointHeldError = await attempt().then(
        () => new Error('it was let in'),
        error => error,
      );
      expect(refusal).toBeInstanceOf(CheckpointHeldError);
      expect(refusal).toMatchObject({ code: 'checkpoint-storage', fault: 'held' });
      expect(refusal.message).toMatch(
        /: expected a place that no other run saves into, found one that is held by proc/,
      );
      expect(refusal.holder!.name).toContain(`process ${process.pid}`);
      expect(Date.now() - Date.parse(refusal.holder!.renewed)).toBeLessThan(60_000);
    }
    for (const step of [1, 2, 3]) await save(first, step);
    expect(visible(folder)).toEqual(['step-000002', 'step-000003']);
    // Reading needs no lease.
    expect((await second.latest())!.step).toBe(3);

    await first.release();
    expect(readdirSync(folder).sort()).toEqual(['step-000002', 'step-000003']);
    await save(second, 4);
    await second.release();
    expect(readdirSync(folder).sort()).toEqual(['step-000003', 'step-000004']);
  });

  test('of many at once one gets it', async () => {
    const folder = temporaryFolder();
    const runs = Array.from({ length: 8 }, () => inFolder(folder));
    const outcomes = await Promise.allSettled(runs.map(run => run.prepare()));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await Promise.all(runs.map(run => run.release()));
    expect(readdirSync(folder)).toEqual([]);
  });

  test('who shares a store shares its lease', async () => {
    const folder = temporaryFolder();
    const store = new FolderStore(folder);
    const [one, two] = [runIn(store), runIn(store)];
    await Promise.all([save(one, 1), save(two, 2)]);
    await one.release();
    await expect(inFolder(folder).prepare()).rejects.toThrow('call release()');
    await two.release();
    await inFolder(folder).prepare();
  });

  test('a folder that nobody may write is read all the same', async () => {
    const folder = temporaryFolder();
    await save(inFolder(folder), 1);
    rewrite(folder, elsewhere);
    const before = readdirSync(folder);
    const reader = inFolder(folder);
    await (await reader.latest())!.restore({ model: { w: tf.variable(tf.zeros([2])) } });
    expect(await reader.store.list()).toEqual(['step-000001']);
    expect(readdirSync(folder)).toEqual(before);
  });
});

describe('a holder that is gone', () => {
  /** Runs a program that takes the folder and ends as the code after it says. */
  function programIn(folder: string, ending: string): ReturnType<typeof spawnSync> {
    const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const code = `import { FolderStore } from ${url('../src/node/index.ts')};
      const store = new FolderStore(${JSON.stringify(folder)});
      await store.acquire(() => {});
      const draft = await store.begin();
      await draft.create('a');
      ${ending}`;
    return spawnSync(process.execPath, [...FROM_SOURCE, '--input-type=module', '--eval', code], { encoding: 'utf8' });
  }

  test('a process that ends by itself leaves nothing, and is not kept by its lease', () => {
    for (const ending of ['', 'process.exit(3)', "throw new Error('a bug')"]) {
      const folder = temporaryFolder();
      const { signal, status } = programIn(folder, ending);
      expect([ending, signal, status]).toEqual([ending, null, ending === '' ? 0 : ending.includes('3') ? 3 : 1]);
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test('one that was killed makes room at once', async () => {
    const folder = temporaryFolder();
    expect(programIn(folder, "process.kill(process.pid, 'SIGKILL')").signal).toBe('SIGKILL');
    expect(readdirSync(folder)).toEqual(['.lease']);
    const warnings: string[] = [];
    const next = inFolder(folder, line => warnings.push(line));
    if (process.platform !== 'linux') letTimePass();
    await save(next, 1);
    if (process.platform === 'linux') expect(warnings).toEqual([]);
    await next.release();
    expect(readdirSync(folder)).toEqual(['step-000001']);
  });

  test.skipIf(process.platform !== 'linux')('so does a thread, while its process goes on', async () => {
    const folder = temporaryFolder();
    const program = await bundle(new URL('holding-process.ts', import.meta.url), `${temporaryFolder()}/holding.mjs`);
    const worker = new Worker(program, { workerData: folder });
    expect((await once(worker, 'message'))[0]).toBe('taken');
    const run = inFolder(folder);
    await expect(run.prepare()).rejects.toThrow(/held by process \d+ \(thread \d+\)/);
    await worker.terminate();
    await run.prepare();
    await run.release();
  });

  test('on another machine it is given time, and shows itself by renewing', async () => {
    const folder = temporaryFolder();
    await inFolder(folder).prepare();
    rewrite(folder, elsewhere);
    const warnings: string[] = [];
    const second = inFolder(folder, line => warnings.push(line)).prepare();
    await vi.waitFor(() => expect(warnings).toEqual([expect.stringMatching(/another machine.* Waiting up to 30 s/)]));
    rewrite(folder, { renewed: '2000-01-01T00:00:00.000Z' });
    await expect(second).rejects.toThrow(CheckpointHeldError);
  });

  test('one that shows itself no more is taken over, by one of those who wait', async () => {
    const folder = temporaryFolder();
    const slept = inFolder(folder);
    await save(slept, 1);
    rewrite(folder, elsewhere);
    letTimePass();
    const runs = [inFolder(folder), inFolder(folder), inFolder(folder)];
    const outcomes = await Promise.allSettled(runs.map(run => run.prepare()));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    // It wakes up, and finds out before it writes or removes.
    const lost = /expected the lease that this run took, found it taken over by process/;
    await expect(save(slept, 2)).rejects.toThrow(lost);
    await expect(slept.store.remove('step-000001')).rejects.toThrow(lost);
    await slept.release();
    expect(visible(folder)).toEqual(['step-000001']);
    await save(runs[outcomes.findIndex(({ status }) => status === 'fulfilled')]!, 3);
    expect(visible(folder)).toEqual(['step-000001', 'step-000003']);
  });

  test.each([
    ['taking it', async (folder: string) => renameSync(holderIn(folder), `${folder}/.removed-12345678-abcdefabcdef`)],
    ['removing .lease by hand', async (folder: string) => renameSync(`${folder}/.lease`, `${folder}/.gone`)],
  ])('a save in the middle of which somebody is %s becomes no checkpoint, and removes none', async (_, take) => {
    const folder = temporaryFolder();
    const run = inFolder(folder);
    for (const step of [1, 2]) await save(run, step);
    const rename = run.store.begin.bind(run.store);
    vi.spyOn(run.store, 'begin').mockImplementation(async () => {
      const draft = await rename();
      return {
        ...draft,
        commit: async name => {
          await take(folder);
          return draft.commit(name);
        },
      };
    });
    await expect(save(run, 3)).rejects.toMatchObject({ fault: 'held', message: expect.stringContaining('it gone') });
    expect(visible(folder)).toEqual(['step-000001', 'step-000002']);
  });

  test('what a crash left of a lease is no obstacle', async () => {
    for (const leave of [
      (folder: string) => mkdirSync(`${folder}/.lease`),
      (folder: string) => {
        mkdirSync(`${folder}/.lease`);
        writeFileSync(`${folder}/.lease/.DS_Store`, '');
        letTimePass();
      },
      (folder: string) => {
        mkdirSync(`${folder}/.lease/abc`, { recursive: true });
        writeFileSync(`${folder}/.lease/abc/holder.json`, '{"pid":1');
        letTimePass();
      },
      (folder: string) => {
        mkdirSync(`${folder}/.lease/abc/holder.json`, { recursive: true });
        letTimePass();
      },
      // Opening a pipe to read it waits for somebody who writes.
      (folder: string) => {
        mkdirSync(`${folder}/.lease/abc`, { recursive: true });
        const pipe = `${folder}/.lease/abc/holder.json`;
        if (spawnSync('mkfifo', [pipe]).status !== 0) writeFileSync(pipe, '');
        letTimePass();
      },
    ]) {
      const folder = temporaryFolder();
      leave(folder);
      const run = inFolder(folder);
      await run.prepare();
      await run.release();
      vi.restoreAllMocks();
      expect(readdirSync(folder)).toEqual([]);
    }
    const folder = temporaryFolder();
    writeFileSync(`${folder}/.lease`, '');
    await expect(inFolder(folder).prepare()).rejects.toMatchObject({
      fault: 'in-the-way',
      message: expect.stringMatching(/^\S+\/\.lease: .* Move it away\.$/),
    });
  });

  test('a name that would command the terminal is not printed', async () => {
    const folder = temporaryFolder();
    await inFolder(folder).prepare();
    rewrite(folder, { ...elsewhere, name: 'a run\u001b[2J' });
    letTimePass();
    const lines: string[] = [];
    await inFolder(folder, line => lines.push(line)).prepare();
    expect(lines).toEqual([expect.stringContaining('a run that left no name')]);
  });

  test('a record keeps its length, and asks for more time where timers come late', async () => {
    const folder = temporaryFolder();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    try {
      const run = inFolder(folder);
      await run.prepare();
      const before = readFileSync(`${holderIn(folder)}/holder.json`, 'utf8');
      vi.advanceTimersByTime(5_000);
      await vi.waitFor(() => expect(recordIn(folder)['renewed']).not.toBe(JSON.parse(before).renewed));
      expect(recordIn(folder)['patience']).toBe(30_000);
      vi.setSystemTime(Date.now());
      const now = performance.now();
      const late = vi.spyOn(performance, 'now').mockImplementation(() => now + 60_000);
      vi.advanceTimersByTime(5_000);
      await vi.waitFor(() => expect(recordIn(folder)['patience']).toBeGreaterThanOrEqual(200_000));
      late.mockRestore();
      expect(readFileSync(`${holderIn(folder)}/holder.json`, 'utf8')).toHaveLength(before.length);
      await run.release();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a database, two pages', () => {
  test('the second one is refused until the first has ended or is silent, and a silent one finds out', async () => {
    const factory = new IDBFactory();
    const page = () => runIn(new IndexedDbStore('x', factory));
    const [first, second, third] = [page(), page(), page()];
    await save(first, 1);
    await expect(second.prepare()).rejects.toThrow(/IndexedDB x: .* held by another page since .*Go on in the page/);
    // What the other one prepares leaves the lease alone.
    await second.store.prepare();
    expect((await second.latest())!.step).toBe(1);
    await first.release();
    await save(second, 2);
    const now = Date.now();
    vi.spyOn(Date, 'now').mockImplementation(() => now + 4 * 60_000);
    await third.prepare();
    await expect(save(second, 3)).rejects.toThrow(/found it taken over by another page/);
    await expect(second.store.remove('step-000001')).rejects.toThrow(CheckpointHeldError);
    expect(await third.store.list()).toEqual(['step-000001', 'step-000002']);
    await save(third, 4);
    expect(await third.store.list()).toEqual(['step-000002', 'step-000004']);
    await Promise.all([first, second, third].map(run => run.release()));
  });

  test('where the browser has locks, one of them is it', async () => {
    const holders = new Map<string, () => void>();
    vi.stubGlobal('navigator', {
      locks: {
        request: async (name: string, _: object, hold: (lock: object | null) => Promise<void> | undefined) => {
          if (holders.has(name)) return hold(null);
          const stolen = new Promise<void>((_, reject) => {
            holders.set(name, () => reject(new DOMException('stolen', 'AbortError')));
          });
          try {
            await Promise.race([hold({ name }), stolen]);
          } finally {
            holders.delete(name);
          }
        },
      },
    });
    const page = () => runIn(new IndexedDbStore('locked'));
    const [first, second] = [page(), page()];
    await first.prepare();
    await expect(second.prepare()).rejects.toThrow(CheckpointHeldError);
    await save(first, 1);
    await first.release();
    await save(second, 2);
    holders.get('frugaljs IndexedDB locked')!();
    await expect(save(second, 3)).rejects.toThrow('expected the lease that this run took, found it gone');
  });
});

test('memory is nobody else’s', async () => {
  const store = new MemoryStore();
  await Promise.all([save(runIn(store), 1), save(runIn(store), 2)]);
  expect(await store.list()).toHaveLength(2);
});
