import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { InvalidCheckpointError } from '../bytes.js';
import {
  type CheckpointHeldError,
  CheckpointStorageError,
  described,
  heldBy,
  type LeaseHolder,
  takenOver,
} from '../stores.js';
import { fileSource, isThere } from './files.js';

const LEASE = '.lease';
const RECORD = 'holder.json';
/** A record keeps its length, so that renewing it needs no room on a full disk. */
const RECORD_BYTES = 1024;
/** Milliseconds between two renewals, and without one until another run may take the folder, unless more is asked for. */
const RENEWAL = 5_000;
const PATIENCE = 30_000;
const LONGEST_PATIENCE = 3600_000;
/** A computation that lets no timer run for long may take longer the next time. */
const MARGIN = 4;
const POLL = 500;
/** Attempts at a place that others take and leave, before it is no matter of patience. */
const ATTEMPTS = 100;
/** What the system says of a path that leads nowhere; the last one over the network. */
const GONE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ESTALE'];

/**
 * The lease of a folder: `.lease/ID/`, in which its holder keeps a record of itself, what it is writing and what it is
 * removing. `.lease` is made with all that in it and renamed into place, which fails where another one is. Whoever takes
 * a folder over renames `.lease/ID` away: of two only one can, and from then on no rename of the former holder, into the
 * folder or out of it, finds its place, however long it slept in the middle of one. Clocks are not compared, and the
 * numbers of processes only within one boot of one machine: everywhere else a holder is gone when its record has not
 * changed for as long as it asks for.
 */
export class FolderLease {
  /** Where the holder writes and removes; not there any more once the lease is lost. */
  readonly path: string;
  readonly #renewing: NodeJS.Timeout;
  readonly #record: Omit<HolderRecord, 'renewed' | 'patience'>;
  #patience = PATIENCE;
  #renewedAt = performance.now();
  #isReleased = false;

  private constructor(
    private readonly location: string,
    id: string,
    record: HolderRecord,
  ) {
    this.path = join(location, LEASE, id);
    this.#record = record;
    this.#renewing = setInterval(() => void this.renew(), RENEWAL).unref();
    releaseOnExit(this);
  }

  /**
   * Takes the lease of a folder, which must exist.
   *
   * @param onWait Receives a line where the last holder may be alive, and is given time to show it.
   * @throws CheckpointHeldError if it is.
   */
  static async take(location: string, onWait: (line: string) => void): Promise<FolderLease> {
    const id = randomBytes(6).toString('hex');
    const record = ownRecord();
    const prepared = join(location, temporaryName('draft', id));
    // First: what a run that was killed was writing may have filled the disk.
    await makeRoom(location, onWait);
    try {
      await mkdir(prepared);
      await mkdir(join(prepared, id));
      await writeFile(join(prepared, id, RECORD), textOf(record));
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (await moveIn(prepared, location, id)) return new FolderLease(location, id, record);
        await makeRoom(location, onWait);
      }
      throw heldBy(null, location, `Remove ${join(location, LEASE)}, or take another folder.`);
    } catch (error) {
      // Also where it may have come to lie before the failure: nobody renews it there.
      for (const path of [prepared, join(location, LEASE, id)]) {
        await rm(path, { recursive: true, force: true }).catch(() => {});
      }
      throw error;
    }
  }

  /** Shows that the holder lives. That it cannot be shown is no error: what counts is whether the lease is lost. */
  async renew(): Promise<void> {
    const now = performance.now();
    // The first renewals tell how long a step of training keeps timers from running.
    this.#patience = Math.min(LONGEST_PATIENCE, Math.max(this.#patience, MARGIN * (now - this.#renewedAt)));
    this.#renewedAt = now;
    try {
      const text = textOf({ ...this.#record, patience: this.#patience, renewed: new Date().toISOString() });
      // In place: a file made anew would come to lie in a folder that was taken away and is being removed.
      const file = await open(join(this.path, RECORD), 'r+');
      try {
        await file.write(Buffer.from(text), 0, RECORD_BYTES, 0);
      } finally {
        await file.close();
      }
    } catch {
      if (this.isLost) clearInterval(this.#renewing);
    }
  }

  /** Known for certain: a folder that cannot be looked at now may still be there. */
  get isLost(): boolean {
    try {
      statSync(this.path);
      return false;
    } catch (error) {
      return GONE.includes((error as NodeJS.ErrnoException).code ?? '');
    }
  }

  /** What to throw once the lease is lost; it names the run that has it now. */
  async loss(): Promise<CheckpointHeldError> {
    const entry = await entryOf(this.location).catch(() => null);
    return takenOver(entry?.record ?? null, this.location);
  }

  /** Gives the folder free. Never throws: what cannot be removed runs out. */
  async release(): Promise<void> {
    if (!this.#end()) return;
    const away = join(this.location, temporaryName('removed'));
    try {
      await rename(this.path, away);
      await rmdir(join(this.location, LEASE));
    } catch {
      // It was lost, or the next one has it by now.
    }
    await rm(away, { recursive: true, force: true }).catch(() => {});
  }

  /** As {@link release}, for the last moment of a process. */
  releaseNow(): void {
    if (!this.#end()) return;
    const away = join(this.location, temporaryName('removed'));
    try {
      renameSync(this.path, away);
      rmdirSync(join(this.location, LEASE));
    } catch {
      // As above.
    }
    try {
      rmSync(away, { recursive: true, force: true });
    } catch {
      // Hidden, and removed by a later save.
    }
  }

  #end(): boolean {
    if (this.#isReleased) return false;
    this.#isReleased = true;
    clearInterval(this.#renewing);
    held.delete(this);
    return true;
  }
}

/** A name for what is not, or no longer, a checkpoint; what a crash leaves of it, a later save removes. */
export function temporaryName(purpose: 'draft' | 'removed', owner: string = randomBytes(4).toString('hex')): string {
  return `.${purpose}-${owner}-${randomBytes(6).toString('hex')}`;
}

const held = new Set<FolderLease>();
let isListening = false;

/** A process that ends by itself, also by `process.exit`, leaves no lease behind that others would have to wait for. */
function releaseOnExit(lease: FolderLease): void {
  held.add(lease);
  if (isListening) return;
  isListening = true;
  process.on('exit', () => {
    for (const each of [...held]) each.releaseNow();
  });
}

/** Renames what was prepared to `.lease`; false if there is one already. */
async function moveIn(prepared: string, location: string, id: string): Promise<boolean> {
  const lease = join(location, LEASE);
  try {
    // One that is empty is what a crash left. Not every system lets a folder be renamed onto it.
    await rmdir(lease).catch(() => {});
    await rename(prepared, lease);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A network file system may do what is asked and lose the answer: asked again, it has nothing left to rename.
    if (existsSync(join(lease, id))) return true;
    if (code === 'ENOTDIR') throw inTheWay(lease);
    const isRefused = code === 'EPERM' || code === 'EACCES';
    if (code === 'ENOTEMPTY' || code === 'EEXIST' || (isRefused && existsSync(lease))) return false;
    throw error;
  }
}

function inTheWay(lease: string): CheckpointStorageError {
  return new CheckpointStorageError('in-the-way', {
    parameter: lease,
    found: 'something that is no folder',
    expected: 'nothing there, or the folder of a run that saves',
    advice: 'Move it away.',
  });
}

/** Removes the lease of a holder that is gone. */
async function makeRoom(location: string, onWait: (line: string) => void): Promise<void> {
  const entry = await entryOf(location);
  if (entry === null || !(await isGone(entry, location, onWait))) return;
  const away = join(location, temporaryName('removed'));
  try {
    await rename(join(location, LEASE, entry.name), away);
  } catch (error) {
    // Somebody else was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await rm(away, { recursive: true, force: true }).catch(() => {});
}

/**
 * Whether the holder is gone: at once where the system can tell, else after waiting for it to renew its record.
 *
 * @returns False if the lease has changed hands meanwhile.
 * @throws CheckpointHeldError if the holder is alive.
 */
async function isGone(entry: Entry, location: string, onWait: (line: string) => void): Promise<boolean> {
  const { record, text } = entry;
  const advice =
    record !== null && isOwnThread(record)
      ? `It is this very program: share one store object, call release() of the Checkpoints that hold it, or, if those are lost, as in a notebook, remove ${join(location, LEASE)}.`
      : `Take another folder, or wait until that run has ended. If it certainly has, remove ${join(location, LEASE)}.`;
  const fate = record === null ? 'unknown' : fateOf(record);
  if (fate === 'alive') throw heldBy(record, location, advice);
  if (fate === 'gone') return true;
  const patience = Math.min(LONGEST_PATIENCE, Math.max(PATIENCE, record?.patience ?? 0));
  onWait(
    `${location} is held by ${described(record)}. Waiting up to ${Math.ceil(patience / 1000)} s for a sign of life; ` +
      'without one this run takes the folder.',
  );
  for (const until = performance.now() + patience; performance.now() < until; ) {
    await sleep(POLL);
    const now = await entryOf(location);
    if (now === null || now.name !== entry.name) return false;
    if (now.text !== text) throw heldBy(now.record ?? record, location, advice);
  }
  return true;
}

/** What lies in `.lease`: one folder of a holder, or what does not belong there. */
interface Entry {
  readonly name: string;
  readonly text: string;
  /** Null if nobody wrote one that can be read. */
  readonly record: HolderRecord | null;
}

/** Null if the folder is free. */
async function entryOf(location: string): Promise<Entry | null> {
  const lease = join(location, LEASE);
  let names: readonly string[];
  try {
    names = await readdir(lease);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw code === 'ENOTDIR' ? inTheWay(lease) : error;
  }
  for (const name of names) {
    const text = await recordIn(join(lease, name));
    if (text !== null) return { name, text, record: parseRecord(text) };
  }
  // What somebody took away since is nobody's.
  for (const name of names) if (await isThere(join(lease, name))) return { name, text: '', record: null };
  return null;
}

/** The text of a record, however little it may be one; null if there is none. */
async function recordIn(place: string): Promise<string | null> {
  const path = join(place, RECORD);
  if (!(await isThere(path))) return null;
  try {
    const source = await fileSource(path);
    try {
      const bytes = await source.read(0, Math.min(source.size, RECORD_BYTES));
      return Buffer.from(bytes).toString('utf8');
    } finally {
      await source.close();
    }
  } catch (error) {
    // A pipe, a folder; removed since.
    if (error instanceof InvalidCheckpointError) return '';
    if (error instanceof CheckpointStorageError && error.fault === 'missing') return null;
    throw error;
  }
}

/** What a holder says about itself. */
interface HolderRecord extends LeaseHolder {
  /** Milliseconds without a renewal after which it is gone. */
  readonly patience: number;
  readonly pid: number;
  /** One boot of one machine and, in containers, whose processes it sees; empty where that cannot be told. */
  readonly machine: string;
  /** The thread by the system's number and the moment it started; empty where that cannot be told. */
  readonly task: string;
}

function ownRecord(): HolderRecord {
  const now = new Date().toISOString();
  const { machine, task } = ownPlace();
  const name = `process ${process.pid}${threadId === 0 ? '' : ` (thread ${threadId})`} on ${hostname().slice(0, 64)}`;
  return { name, since: now, renewed: now, patience: PATIENCE, pid: process.pid, machine, task };
}

function textOf(record: HolderRecord): string {
  return `${JSON.stringify(record).padEnd(RECORD_BYTES - 1)}\n`;
}

function parseRecord(text: string): HolderRecord | null {
  try {
    const record = JSON.parse(text) as Partial<HolderRecord> | null;
    const { name, since, renewed, patience, pid, machine, task } = record ?? {};
    // It is printed: nothing in it may command a terminal.
    const isText = [name, since, renewed, machine].every(each => typeof each === 'string' && !/\p{Cc}/u.test(each));
    const isTask = typeof task === 'string' && /^(\d+ \d+)?$/.test(task);
    return isText && isTask && Number.isFinite(patience) && Number.isSafeInteger(pid) ? (record as HolderRecord) : null;
  } catch {
    return null;
  }
}

function isOwnThread({ machine, task, pid }: HolderRecord): boolean {
  const own = ownPlace();
  return machine !== '' && machine === own.machine && task !== '' && task === own.task && pid === process.pid;
}

/** What the system knows of a holder. Threads have one process number, so it is the thread that is asked for. */
function fateOf({ pid, machine, task }: HolderRecord): 'alive' | 'gone' | 'unknown' {
  const own = ownPlace();
  if (machine === '' || machine !== own.machine || pid <= 0) return 'unknown';
  if (task === '' || own.task === '') return processIs(pid) === 'missing' ? 'gone' : 'unknown';
  const [thread, started] = task.split(' ') as [string, string];
  try {
    const stat = threadStat(pid, thread);
    return stat.started === started && !'ZX'.includes(stat.state) ? 'alive' : 'gone';
  } catch {
    // The processes of others may be hidden: only the system knows then.
    const state = processIs(pid);
    return state === 'missing' || (state === 'ours' && existsSync(`/proc/${pid}`)) ? 'gone' : 'unknown';
  }
}

function processIs(pid: number): 'ours' | 'of another' | 'missing' {
  try {
    process.kill(pid, 0);
    return 'ours';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? 'missing' : 'of another';
  }
}

/** Where this thread runs, for others to look for it. */
function ownPlace(): Pick<HolderRecord, 'machine' | 'task'> {
  if (process.platform !== 'linux') return { machine: [hostname(), ...hardwareAddresses()].join(' '), task: '' };
  try {
    // Processes of another container are other processes of the same number.
    const processes = readlinkSync('/proc/self/ns/pid');
    const [pid, , thread] = readlinkSync('/proc/thread-self').split('/');
    if (Number(pid) !== process.pid || thread === undefined) return { machine: '', task: '' };
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return { machine: `${boot} ${processes}`, task: `${thread} ${threadStat(process.pid, thread).started}` };
  } catch {
    return { machine: '', task: '' };
  }
}

function hardwareAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap(each => each?.map(({ mac }) => mac) ?? []);
  return [...new Set(addresses)].filter(mac => mac !== '00:00:00:00:00:00').sort();
}

/** See proc(5): the state and, as a number since the boot, the start of a thread. */
function threadStat(pid: number, thread: string): { readonly state: string; readonly started: string } {
  const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
  // The name of the program, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, started: fields[19]! };
}
