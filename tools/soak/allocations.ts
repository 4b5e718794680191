import type { ComposedOptimizer } from '@frugaljs/composer';
import { TornUpdateError } from '@frugaljs/core/errors';
import { dispose, engine, memory, setBackend, type Tensor } from '@tensorflow/tfjs-core';
import { bitsOf, composition, type Place, type Settings } from '../test-support/compositions.js';
import { type Duration, FailurePoints, InjectedFailure } from './failures.js';
import { TinyModel } from './runs.js';

/** The calls that can be disturbed. */
export const CALLS = ['an update', 'the first update after a restore', 'a save', 'a restore'] as const;

/** A call that is disturbed, and what goes before. */
export interface Disturbed extends Place {
  readonly composition: string;
  readonly call: (typeof CALLS)[number];
  /** Updates before it, or rounds of an accumulation. */
  readonly after: number;
  readonly settings?: Settings;
  readonly duration?: Duration;
  /** Fails every so manieth point only. Default 1. */
  readonly every?: number;
}

/** What became of the calls that were disturbed. */
export interface Outcomes {
  /** Points at which something could fail. */
  points: number;
  /** After the failure everything was as before, and the same call went through. */
  unchanged: number;
  /** A part had been written, the next call said so, and after a restore the call went through. */
  torn: number;
  /** The failure went unnoticed and did no harm. */
  unharmed: number;
  /** What went wrong, with the point. */
  readonly faults: string[];
}

/**
 * Fails every allocation and every kernel of one call, one after the other, each time in a run of its own, and looks
 * whether the call has happened whole or not at all, whether the optimizer says that it is torn where it is, and whether
 * all is freed.
 */
export async function disturb(disturbed: Disturbed): Promise<Outcomes> {
  await setBackend(disturbed.backend);
  const outcomes: Outcomes = { points: 0, unchanged: 0, torn: 0, unharmed: 0, faults: [] };
  const points = new FailurePoints();
  try {
    const whole = await Run.begin(disturbed);
    outcomes.points = await points.count(() => whole.call());
    await whole.goOn();
    const expected = await whole.contents();
    whole.end();
    for (let point = 1; point <= outcomes.points; point += disturbed.every ?? 1) {
      try {
        outcomes[await disturbAt(point, disturbed, points, expected)] += 1;
      } catch (error) {
        outcomes.faults.push(`point ${point}: ${(error as Error).message}`);
      }
    }
  } finally {
    points.remove();
  }
  return outcomes;
}

async function disturbAt(
  point: number,
  disturbed: Disturbed,
  points: FailurePoints,
  expected: string,
): Promise<'unchanged' | 'torn' | 'unharmed'> {
  const run = await Run.begin(disturbed);
  const failure = await points.fail(point, disturbed.duration ?? 'once', () => run.call());
  const faults: string[] = [];
  if (failure !== null && !(failure instanceof InjectedFailure)) faults.push('another error');
  let outcome: 'unchanged' | 'torn' | 'unharmed' = 'unharmed';
  if (failure !== null) {
    const again = await attempt(() => run.call());
    outcome = again instanceof TornUpdateError ? 'torn' : 'unchanged';
    if (again instanceof TornUpdateError) {
      await run.restore();
      const third = await attempt(() => run.call());
      if (third !== null) faults.push(`after a restore, ${String(third)}`);
    } else if (again !== null) faults.push(`the same call again: ${String(again)}`);
  }
  try {
    await run.goOn();
    if ((await run.contents()) !== expected) faults.push(`${outcome}, and then another result`);
  } catch (error) {
    faults.push(`does not go on: ${String(error)}`);
  }
  const left = run.end();
  if (left !== null) faults.push(left);
  if (faults.length > 0) throw new Error(`${faults.join('; ')} (${String(failure)})`);
  return outcome;
}

/** A run up to the call that is to be disturbed. */
class Run {
  private readonly held = held();
  private readonly model = new TinyModel();
  private optimizer: ComposedOptimizer;
  private readonly weights: Tensor[] = [];
  private readonly state: { name: string; tensor: Tensor }[] = [];
  private readonly gradients: Record<string, Tensor>;

  private constructor(private readonly disturbed: Disturbed) {
    this.optimizer = this.compose();
    this.gradients = this.model.gradients(disturbed.after);
  }

  static async begin(disturbed: Disturbed): Promise<Run> {
    const run = new Run(disturbed);
    for (let step = 0; step < disturbed.after; step++) run.model.train(run.optimizer, step);
    for (const each of run.model.variables) run.weights.push(each.clone());
    for (const { name, tensor } of await run.optimizer.getWeights()) run.state.push({ name, tensor: tensor.clone() });
    if (disturbed.call === 'the first update after a restore') {
      run.optimizer.dispose();
      run.optimizer = run.compose();
      await run.optimizer.setWeights(run.state);
    }
    // What a restore takes back.
    if (disturbed.call === 'a restore') run.model.train(run.optimizer, 100);
    return run;
  }

  /** The call; again does the same. */
  async call(): Promise<void> {
    const { call } = this.disturbed;
    if (call === 'a save') await this.optimizer.getWeights();
    else if (call === 'a restore') await this.restore();
    else this.optimizer.applyGradients(this.gradients);
  }

  /** Weights and state as they were saved before the call. */
  async restore(): Promise<void> {
    for (const [i, each] of this.model.variables.entries()) each.assign(this.weights[i]!);
    await this.optimizer.setWeights(this.state);
  }

  /** Trains on, through a refresh. */
  async goOn(): Promise<void> {
    for (let step = 1; step <= 4; step++) this.model.train(this.optimizer, this.disturbed.after + step);
  }

  /** Weights and state, bit for bit. */
  async contents(): Promise<string> {
    const state = await this.optimizer.getWeights();
    const sorted = [...state].sort((a, b) => (a.name < b.name ? -1 : 1));
    return `${this.model.bits()}\n${sorted.map(({ name, tensor }) => `${name} ${bitsOf([tensor])}`).join('\n')}`;
  }

  /** Frees everything; returns what is left all the same. */
  end(): string | null {
    this.optimizer.dispose();
    this.model.dispose();
    dispose(this.gradients);
    dispose([...this.weights, ...this.state.map(({ tensor }) => tensor)]);
    const now = held();
    const [tensors, buffers] = [now.tensors - this.held.tensors, now.buffers - this.held.buffers];
    return tensors === 0 && buffers === 0 ? null : `${tensors} tensors and ${buffers} buffers are left behind`;
  }

  private compose(): ComposedOptimizer {
    const { composition: name, kernels, settings } = this.disturbed;
    return composition(name, { kernels, ...settings });
  }
}

async function attempt(act: () => Promise<void>): Promise<unknown> {
  try {
    await act();
    return null;
  } catch (error) {
    return error;
  }
}

interface Held {
  readonly tensors: number;
  readonly buffers: number;
}

/** What there is, of tensors and of their buffers in the backend. */
function held(): Held {
  return { tensors: memory().numTensors, buffers: engine().backend.numDataIds() };
}

/** One line of a report. */
export function describe(
  { backend, kernels, composition: name, call, after, duration = 'once', settings }: Disturbed,
  { points, unchanged, torn, unharmed, faults }: Outcomes,
): string {
  const lasting = duration === 'once' ? '' : ', all from then on';
  const accumulated = settings?.accumulate === undefined ? '' : `, ${settings.accumulate} rounds each`;
  const verdict = faults.length === 0 ? 'whole or not at all' : `\n  ${faults.join('\n  ')}`;
  return `${backend} ${kernels}, ${name}, ${call} after ${after}${accumulated}: ${points} points fail${lasting}: ${unchanged} not at all, ${torn} torn and restored, ${unharmed} made all the same: ${verdict}`;
}
