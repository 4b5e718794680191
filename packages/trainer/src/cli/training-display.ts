import type { Progress } from '../terminal/progress.js';
import { formatCount, formatDuration } from '../terminal/units.js';
import { SmoothedLoss } from '../training/smoothed-loss.js';
import type { Step } from '../training/steps.js';
import type { Evaluation } from '../training/train.js';

const SPAN = 20;

/** Shows one training run as it goes. */
export class TrainingDisplay {
  readonly #progress: Progress;
  readonly #title: string;
  readonly #steps: number;
  readonly #tokensPerStep: number;
  readonly #began: number = performance.now();
  #done = 0;
  readonly #loss = new SmoothedLoss(SPAN);
  readonly #milliseconds = new SmoothedLoss(SPAN);

  constructor(progress: Progress, title: string, steps: number, tokensPerStep: number) {
    this.#progress = progress;
    this.#title = title;
    this.#steps = steps;
    this.#tokensPerStep = tokensPerStep;
  }

  step({ step, loss, milliseconds }: Step): void {
    const smoothLoss = this.#loss.add(loss);
    const smoothMilliseconds = this.#milliseconds.add(milliseconds);
    const secondsPerStep = (performance.now() - this.#began) / 1000 / ++this.#done;
    const details = [
      `loss ${smoothLoss.toFixed(3)}`,
      `${formatDuration(secondsPerStep * (this.#steps - step))} left`,
      `${formatCount((1000 * this.#tokensPerStep) / smoothMilliseconds)} tokens/s`,
    ];
    this.#progress.update({ title: this.#title, done: step, total: this.#steps, details });
  }

  evaluation({ step, loss }: Evaluation): void {
    if (step < this.#steps) this.#progress.print(`step ${step}: validation loss ${loss.toFixed(3)}`);
  }
}
