import type { FileKind, Memory, Requests, StepResult } from '../protocol.js';
import type { WorkerLink } from './worker-link.js';

/** Steps whose time counts for the speed that is shown. */
const RECENT = 20;

/** Share of a comparison's steps that the moving average of the loss reaches back. */
const SPAN = 0.02;

/** A text by a model. */
export interface Sample {
  readonly step: number;
  readonly text: string;
}

/** The run of one optimizer, as the page sees it: what its worker has reported so far. */
export class Run {
  readonly label: string;
  memory: Memory;
  /** Loss of every step, in nats per token. */
  readonly losses: number[] = [];
  /** Moving average of the losses, after every step. */
  readonly averages: number[] = [];
  readonly samples: Sample[] = [];
  /** The step whose gradients were not finite; null while all is well. */
  divergedAt: number | null = null;
  readonly #worker: WorkerLink;
  readonly #recent: number[] = [];
  readonly #average: MovingAverage;

  /** @param steps Steps of the whole comparison. */
  constructor(label: string, memory: Memory, steps: number, worker: WorkerLink) {
    this.label = label;
    this.memory = memory;
    this.#worker = worker;
    this.#average = new MovingAverage(SPAN * steps);
  }

  /** Milliseconds of a step: the median of the last ones; null before the first. */
  get milliseconds(): number | null {
    if (this.#recent.length === 0) return null;
    const sorted = [...this.#recent].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)]!;
  }

  /** Trains on the batch of that number. */
  async step(index: number): Promise<void> {
    if (this.divergedAt !== null) return;
    const result: StepResult = await this.#worker.ask('step', { index });
    this.memory = result.memory ?? this.memory;
    if (result.loss === null) {
      this.divergedAt = index + 1;
      return;
    }
    this.losses.push(result.loss);
    this.averages.push(this.#average.add(result.loss));
    this.#recent.push(result.milliseconds);
    if (this.#recent.length > RECENT) this.#recent.shift();
  }

  /** Lets the model write. */
  async sample(step: number, request: Requests['sample']['argument'], onText: (text: string) => void): Promise<void> {
    if (this.divergedAt !== null) return;
    const text = await this.#worker.ask('sample', request, onText);
    this.samples.push({ step, text });
  }

  /** A file of the present state, with the number of updates in it. */
  file(kind: FileKind): Promise<{ readonly step: number; readonly blob: Blob }> {
    return this.#worker.ask('file', { kind });
  }
}

/**
 * An exponential moving average without a bias towards 0 at its start: s_t = Σ β^(t-i) x_i / Σ β^(t-i), β = 1 - 1/span.
 */
export class MovingAverage {
  readonly #decay: number;
  #sum = 0;
  #weight = 0;

  /** @param span About how many values count. */
  constructor(span: number) {
    this.#decay = 1 - 1 / Math.max(1, span);
  }

  /** Adds a value and returns the average. */
  add(value: number): number {
    this.#sum = this.#decay * this.#sum + value;
    this.#weight = this.#decay * this.#weight + 1;
    return this.#sum / this.#weight;
  }
}
