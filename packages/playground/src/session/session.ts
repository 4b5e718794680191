import type { BackendName, Outline, OwnText, Setup } from '../protocol.js';
import { Run } from './run.js';
import { WorkerLink } from './worker-link.js';

export type SessionState = 'starting' | 'running' | 'paused' | 'finished' | 'failed';

/** What a session tells of its progress. */
export interface SessionEvents {
  readonly onState: (state: SessionState) => void;
  readonly onStep: () => void;
  readonly onSample: (index: number, step: number, text: string, complete: boolean) => void;
}

export interface SessionOptions {
  readonly setup: Setup;
  readonly outline: Outline;
  readonly text: OwnText | null;
  readonly backend: BackendName;
  readonly events: SessionEvents;
}

/**
 * A comparison under way. All models take the same step, each in its worker; the next one starts when the slowest is
 * done, so that the curves can be compared at any moment.
 */
export class Session {
  readonly runs: readonly Run[];
  readonly setup: Setup;
  readonly backend: BackendName;
  /** Updates made. */
  step = 0;
  state: SessionState = 'starting';
  /** Why it failed. */
  failure: string | null = null;
  readonly #workers: readonly WorkerLink[];
  readonly #events: SessionEvents;
  readonly #text: OwnText | null;
  #prompt: string;
  #ended = false;
  #wake: () => void = () => {};

  constructor({ setup, outline, text, backend, events }: SessionOptions) {
    this.setup = setup;
    this.backend = backend;
    this.#events = events;
    this.#text = text;
    this.#prompt = setup.run.prompt;
    this.#workers = setup.optimizers.map(() => new WorkerLink());
    this.runs = outline.optimizers.map(
      (each, i) => new Run(each!.label, each!.memory, setup.run.steps, this.#workers[i]!),
    );
  }

  /** Trains to the end; resolves then, or when the session has failed. */
  async run(): Promise<void> {
    try {
      // A device can be lost while nothing is asked of it: during a pause, or while another worker is at work.
      const lost = this.#workers.map(async worker => Promise.reject(await worker.lost));
      await Promise.race([this.#start().then(() => this.#train()), ...lost]);
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
      // There may be no memory for another start before theirs is free.
      for (const worker of this.#workers) worker.terminate();
      this.#enter('failed');
    }
  }

  /** Stops after the step under way. */
  pause(): void {
    if (this.state === 'running') this.#enter('paused');
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.#enter('running');
    this.#wake();
  }

  /** What the next texts start with. */
  set prompt(prompt: string) {
    this.#prompt = prompt;
  }

  /** Ends all workers; the session tells nothing more. */
  end(): void {
    this.#ended = true;
    for (const worker of this.#workers) worker.terminate();
  }

  async #start(): Promise<void> {
    const { run, optimizers } = this.setup;
    const { backend } = this;
    this.#enter('starting');
    await Promise.all(
      this.#workers.map(async (worker, i) => {
        await worker.ask('text', this.#text);
        await worker.ask('start', { run, optimizer: optimizers[i]!, backend });
      }),
    );
    this.#enter('running');
  }

  async #train(): Promise<void> {
    const { steps } = this.setup.run;
    await this.#sample();
    while (this.step < steps) {
      if (this.state === 'paused') await this.#resumed();
      await Promise.all(this.runs.map(run => run.step(this.step)));
      this.step++;
      this.#events.onStep();
      if (isSampleStep(this.step, steps)) await this.#sample();
      if (this.runs.every(({ divergedAt }) => divergedAt !== null)) break;
    }
    this.#enter('finished');
  }

  async #sample(): Promise<void> {
    const { step } = this;
    const { seed, sampleLength: length } = this.setup.run;
    // The same for all, and another one each time.
    const request = { prompt: this.#prompt, length, seed: seed + step };
    await Promise.all(
      this.runs.map(async (run, i) => {
        const tell = (text: string, complete: boolean): void => this.#events.onSample(i, step, text, complete);
        await run.sample(step, request, text => tell(text, false));
        const last = run.samples.at(-1);
        if (last?.step === step) tell(last.text, true);
      }),
    );
  }

  #resumed(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
    });
  }

  #enter(state: SessionState): void {
    if (this.#ended) return;
    this.state = state;
    this.#events.onState(state);
  }
}

/** Early on a model changes fast: these steps, and then every so many. */
const EARLY = [10, 25];
const EVERY = 50;

/** Whether the models write a text after this step. The last one always shows what was learned. */
export function isSampleStep(step: number, steps: number): boolean {
  return EARLY.includes(step) || step % EVERY === 0 || step === steps;
}
