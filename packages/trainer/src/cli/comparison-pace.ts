import { formatCount, formatDuration } from '../terminal/units.js';
import { SmoothedLoss } from '../training/smoothed-loss.js';
import type { Step } from '../training/steps.js';

const SPAN = 20;

/** Keeps what the progress line says about a comparison: the loss, the speed and the time left. */
export class ComparisonPace {
  readonly #totalSteps: number;
  readonly #steps: number;
  readonly #tokensPerStep: number;
  readonly #now: () => number;
  readonly #began: number;
  #run = -1;
  #runBegan = 0;
  #stepsDone = 0;
  #loss = new SmoothedLoss(SPAN);
  #milliseconds = new SmoothedLoss(SPAN);

  /** @param now Milliseconds; only differences count. */
  constructor(
    { runs, steps, tokensPerStep }: { readonly runs: number; readonly steps: number; readonly tokensPerStep: number },
    now: () => number = () => performance.now(),
  ) {
    this.#totalSteps = runs * steps;
    this.#steps = steps;
    this.#tokensPerStep = tokensPerStep;
    this.#now = now;
    this.#began = now();
  }

  /** @param run Which of the runs, counted from 0. */
  add(run: number, step: Step): void {
    if (run !== this.#run) {
      this.#run = run;
      this.#runBegan = this.#now() - step.milliseconds;
      this.#loss = new SmoothedLoss(SPAN);
      this.#milliseconds = new SmoothedLoss(SPAN);
    }
    this.#stepsDone = run * this.#steps + step.step;
    this.#loss.add(step.loss);
    this.#milliseconds.add(step.milliseconds);
  }

  /** Seconds since the first step of the current run. */
  runSeconds(): number {
    return (this.#now() - this.#runBegan) / 1000;
  }

  /** Seconds until the last run ends, if it goes on as it has so far, evaluations included. */
  secondsLeft(): number {
    const each = (this.#now() - this.#began) / 1000 / this.#stepsDone;
    return each * (this.#totalSteps - this.#stepsDone);
  }

  details(): string[] {
    const tokensPerSecond = (1000 * this.#tokensPerStep) / this.#milliseconds.value;
    return [
      `loss ${this.#loss.value.toFixed(3)}`,
      `${formatDuration(this.secondsLeft())} left`,
      `${formatCount(tokensPerSecond)} tokens/s`,
    ];
  }
}
