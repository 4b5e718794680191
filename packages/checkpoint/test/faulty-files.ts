import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * How a call fails: not made, with the code of an error; made, but reported as failed, as over a network; or as the end of
 * the process, after which no call of it is made. `power cut` takes with it what was not synchronized.
 */
export const FAULTS = ['EIO', 'ENOSPC', 'lost answer', 'crash', 'power cut'] as const;
export type Fault = (typeof FAULTS)[number];

/** What ends a process that crashes here: no code of the library knows it. */
export class Crash extends Error {}

/** Which call fails, of those on paths in a folder. */
export interface FaultPlan {
  readonly folder: string;
  /** Counted from 0; negative: none, only count. */
  readonly at: number;
  readonly fault: Fault;
  /** Filled in: calls so far, and the one that failed. */
  calls: number;
  failed: string | null;
}

const plans = new AsyncLocalStorage<Run>();

/** Runs something, and whatever it starts, on file operations of which one fails. */
export async function withFault(plan: FaultPlan, act: () => Promise<void>): Promise<void> {
  patch();
  const run = new Run(plan);
  await plans.run(run, act);
  if (run.isDead && plan.fault === 'power cut') run.losePending();
}

/** An entry of a folder that is not on the disk yet. */
interface Pending {
  path: string;
  /** Where it was renamed from; null if it was made. */
  readonly from: string | null;
}

class Run {
  isDead = false;
  #pending: Pending[] = [];
  /** Files by number whose bytes are not on the disk yet. */
  readonly #dirty = new Set<number>();

  constructor(readonly plan: FaultPlan) {}

  concerns(path: unknown): path is string {
    return typeof path === 'string' && path.startsWith(this.plan.folder);
  }

  /** Counts a call and lets it happen, or not. */
  async call<T>(what: string, act: () => Promise<T>, half?: () => Promise<unknown>): Promise<T> {
    if (!this.#isDue(what)) return act();
    if (this.isDead) await half?.();
    else if (this.plan.fault === 'lost answer')
      await (await (act() as Promise<{ close?(): unknown } | undefined>))?.close?.();
    throw this.#failure(what);
  }

  callNow<T>(what: string, act: () => T): T {
    if (!this.#isDue(what)) return act();
    if (this.plan.fault === 'lost answer') act();
    throw this.#failure(what);
  }

  #isDue(what: string): boolean {
    const { plan } = this;
    if (this.isDead) throw new Crash('the process has ended');
    if (plan.calls++ !== plan.at) return false;
    plan.failed = what;
    this.isDead = plan.fault === 'crash' || plan.fault === 'power cut';
    return true;
  }

  #failure(what: string): Error {
    if (this.isDead) return new Crash('the process ends');
    const code = this.plan.fault === 'lost answer' ? 'EIO' : this.plan.fault;
    return Object.assign(new Error(`${code}: injected, ${what}`), { code, syscall: what, errno: -5 });
  }

  made(path: string): void {
    this.#pending.push({ path, from: null });
  }

  renamed(from: string, to: string): void {
    for (const each of this.#pending) {
      if (each.path === from || each.path.startsWith(`${from}/`)) each.path = to + each.path.slice(from.length);
    }
    this.#pending.push({ path: to, from });
  }

  wrote(file: number): void {
    this.#dirty.add(file);
  }

  synced(path: string, file: number): void {
    this.#dirty.delete(file);
    this.#pending = this.#pending.filter(each => dirname(each.path) !== path);
  }

  /** What a power cut takes with it, at worst: removals stay, as nothing says in which order a disk does what it may. */
  losePending(): void {
    for (const { path, from } of this.#pending.reverse()) {
      if (!fs.existsSync(path)) continue;
      if (from === null) real.rmSync(path, { recursive: true });
      else if (fs.existsSync(dirname(from)) && !fs.existsSync(from)) real.renameSync(path, from);
    }
    const names = fs.readdirSync(this.plan.folder, { recursive: true, withFileTypes: true });
    for (const entry of names) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && this.#dirty.has(fs.statSync(path).ino)) fs.truncateSync(path);
    }
  }
}

const real = { ...fs, promises: { ...fs.promises } };
let isPatched = false;

/** Puts counting in the place of the file operations of this process; without a plan they are what they were. */
function patch(): void {
  if (isPatched) return;
  isPatched = true;
  const { promises } = real;
  const active = (path: unknown): Run | null => {
    const run = plans.getStore();
    return run?.concerns(path) ? run : null;
  };
  const counted =
    <Args extends unknown[], T>(name: string, act: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const run = active(args[0]);
      return run === null ? act(...args) : run.call(name, () => act(...args));
    };
  Object.assign(fs.promises, {
    stat: counted('stat', promises.stat as never),
    readdir: counted('readdir', promises.readdir as never),
    readFile: counted('readFile', promises.readFile as never),
    rmdir: counted('rmdir', promises.rmdir),
    mkdir: async (path: string, options?: object) => {
      const run = active(path);
      if (run === null) return promises.mkdir(path, options);
      return run.call('mkdir', async () => {
        await promises.mkdir(path, options);
        run.made(path);
      });
    },
    rename: async (from: string, to: string) => {
      const run = active(from);
      if (run === null) return promises.rename(from, to);
      return run.call('rename', async () => {
        await promises.rename(from, to);
        run.renamed(from, to);
      });
    },
    writeFile: async (path: string, data: string) => {
      const run = active(path);
      if (run === null) return promises.writeFile(path, data);
      const put = async (text: string): Promise<void> => {
        await promises.writeFile(path, text);
        run.made(path);
        run.wrote(real.statSync(path).ino);
      };
      return run.call(
        'writeFile',
        () => put(data),
        () => put(data.slice(0, data.length / 2)),
      );
    },
    rm: async (path: string, options?: object) => {
      const run = active(path);
      return run === null ? promises.rm(path, options) : removeCounted(run, path);
    },
    open: async (path: string, flags?: string | number) => {
      const run = active(path);
      if (run === null) return promises.open(path, flags);
      return run.call('open', async () => {
        const file = await promises.open(path, flags);
        if (flags === 'wx') run.made(path);
        return countedHandle(run, path, file);
      });
    },
  });
  const countedNow =
    <Args extends unknown[], T>(name: string, act: (...args: Args) => T) =>
    (...args: Args): T => {
      const run = active(args[0]);
      return run === null ? act(...args) : run.callNow(name, () => act(...args));
    };
  Object.assign(fs, {
    statSync: countedNow('statSync', real.statSync as never),
    renameSync: countedNow('renameSync', real.renameSync),
    rmdirSync: countedNow('rmdirSync', real.rmdirSync),
    rmSync: countedNow('rmSync', real.rmSync),
    // It says of whatever fails that there is nothing.
    existsSync: (path: string): boolean => {
      const run = active(path);
      if (run === null) return real.existsSync(path);
      try {
        return run.callNow('existsSync', () => real.existsSync(path));
      } catch (error) {
        if (error instanceof Crash) throw error;
        return false;
      }
    },
  });
  syncBuiltinESMExports();
}

/** Removes one file after the other, so that it can end in the middle. */
async function removeCounted(run: Run, path: string): Promise<void> {
  const { promises } = real;
  const found = await run.call('lstat', () => promises.lstat(path).catch(() => null));
  if (found === null) return;
  if (!found.isDirectory()) return run.call('unlink', () => promises.unlink(path));
  for (const name of await run.call('readdir', () => promises.readdir(path)))
    await removeCounted(run, join(path, name));
  await run.call('rmdir', () => promises.rmdir(path));
}

function countedHandle(run: Run, path: string, file: fs.promises.FileHandle): object {
  return {
    read: (bytes: Uint8Array, offset: number, length: number, position: number) =>
      run.call('read', () => file.read(bytes, offset, length, position)),
    write: (bytes: Uint8Array, offset: number, length: number, position?: number) => {
      const put = async (size: number) => {
        const written = await file.write(bytes, offset, size, position ?? null);
        run.wrote((await file.stat()).ino);
        return written;
      };
      return run.call(
        'write',
        () => put(length),
        () => put(Math.floor(length / 2)),
      );
    },
    stat: () => run.call('fstat', () => file.stat()),
    sync: () =>
      run.call('fsync', async () => {
        run.synced(path, (await file.stat()).ino);
      }),
    // The system closes the files of a process that has ended.
    close: async () => {
      await file.close();
      await run.call('close', async () => {});
    },
  };
}
