import { InvalidStateError } from '@frugaljs/core';
import { Tensor } from '@tensorflow/tfjs-core';
import type { SavedState } from '../runtime/saved-state.js';
import type { GradientAccumulator } from './accumulator.js';
import type { NamedTensor } from './gradients.js';
import { disposeStates, fromNamedTensors, OWN, type SavedStates, toNamedTensors } from './saved-weights.js';
import type { TrainedParameters } from './trained-parameters.js';

/** What an optimizer counts, beside the state of its parameters. */
export interface Counters {
  readonly updates: number;
  readonly skipped: number;
  /** Rounds summed since the last update. */
  readonly accumulated: number;
}

/** Path of the sum of gradients in the state of a variable. */
const ACCUMULATOR = 'accumulator';

/** The state of an optimizer as named tensors: hands it out, and keeps what was loaded for variables still to come. */
export class StateExchange {
  private pending: SavedStates | null = null;
  private handedOut: Tensor[] = [];

  constructor(
    private readonly parameters: TrainedParameters,
    private readonly accumulator: GradientAccumulator,
  ) {}

  /** The whole state. Tensors made for it live until the next call. */
  handOut({ updates, skipped, accumulated }: Counters): NamedTensor[] {
    this.disposeHandedOut();
    const states = new Map<string, SavedState>();
    const sums = this.accumulator.save();
    states.set(
      OWN,
      new Map([
        ['updates', updates],
        ['skipped', skipped],
        ['accumulated', accumulated],
      ]),
    );
    this.parameters.save(states, (name, state) => {
      if (sums.has(name)) state.set(ACCUMULATOR, sums.get(name)!);
    });
    // Loaded state that still waits for its variables is saved as it came.
    for (const [name, entries] of this.pending ?? []) {
      if (!states.has(name)) states.set(name, entries);
    }
    return toNamedTensors(states, this.handedOut);
  }

  /**
   * Takes state in, in the place of all there was. It waits for {@link restore}.
   *
   * @throws InvalidStateError when it is not the state of an optimizer; nothing has changed then.
   */
  async takeIn(weights: readonly NamedTensor[]): Promise<Counters> {
    const states = await fromNamedTensors(weights);
    const own = states.get(OWN) ?? new Map();
    const [updates, skipped, accumulated] = ['updates', 'skipped', 'accumulated'].map(name => own.get(name));
    if (typeof updates !== 'number' || typeof skipped !== 'number' || typeof accumulated !== 'number') {
      disposeStates(states);
      throw new InvalidStateError({
        parameter: 'setWeights',
        found: [...own.keys()].join(', ') || 'no counters',
        expected: 'the counters updates, skipped and accumulated',
        advice: 'Pass everything that getWeights returned.',
      });
    }
    this.disposePending();
    this.parameters.reset();
    this.accumulator.reset();
    this.accumulator.count = accumulated;
    this.pending = states;
    return { updates, skipped, accumulated };
  }

  /** Hands loaded state to the variables met so far; the rest waits for variables still to come. */
  restore(): void {
    const { pending } = this;
    if (pending === null || this.parameters.variables().length === 0) return;
    this.parameters.restore(pending, (variable, entries) => {
      const sum = entries.get(ACCUMULATOR);
      if (sum instanceof Tensor) this.accumulator.restore(variable, sum);
      entries.delete(ACCUMULATOR);
    });
  }

  dispose(): void {
    this.disposeHandedOut();
    this.disposePending();
  }

  private disposeHandedOut(): void {
    for (const tensor of this.handedOut) tensor.dispose();
    this.handedOut = [];
  }

  private disposePending(): void {
    if (this.pending !== null) disposeStates(this.pending);
    this.pending = null;
  }
}
