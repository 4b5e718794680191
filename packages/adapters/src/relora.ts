import { variableOf } from '@frugaljs/composer/state';
import {
  InvalidOptionError,
  randomKey,
  randomUniform,
  registerSchedule,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  requireSchedule,
  type Schedule,
  sameShape,
  scheduleFromJson,
  type WarmupStart,
} from '@frugaljs/core';
import { dispose, type Tensor, tensor } from '@tensorflow/tfjs-core';
import type { Lora } from './lora.js';

interface NamedTensor {
  name: string;
  tensor: Tensor;
}

/** What ReLoRA needs to know of an optimizer; those of `compose` and the recipes have it. */
export interface ReloraOptimizer {
  /** Updates made. */
  readonly updates: number;
  getWeights(): Promise<NamedTensor[]>;
  setWeights(weights: NamedTensor[]): Promise<void>;
  memoryReport(parameters: readonly { readonly name: string; readonly shape: readonly number[] }[]): readonly {
    readonly parameterBytes: number;
    readonly slotBytes: number;
    readonly basisBytes: number;
    readonly rule: string;
  }[];
}

export interface ReloraOptions {
  /** Merge after every so many updates (K). */
  readonly every: number;
  /** Share of the entries whose optimizer state becomes 0 at a merge. Default 0.999, or 0.9 by magnitude. */
  readonly prune?: number;
  /** Which entries keep their state: `random` ones (default), or those with the largest first moment (`magnitude`). */
  readonly pruneBy?: 'random' | 'magnitude';
}

/**
 * ReLoRA: every K updates the adapters are merged into the weights and start anew, so that the sum of many updates of rank
 * r has a high rank. With them the optimizer state of A and B is pruned: old moments would push the new A and B along
 * the old ones. The learning rate is warmed up again after each merge; {@link rewarmed} makes such a schedule.
 *
 *     W ← W + s B A,  A ← U(±1/√in),  B ← 0,  m, v ← 0 for 99.9 % of the entries
 *
 * Which entries keep their state is drawn once for all moments of an entry; the official code draws for each moment, and
 * so divides some first moments by a second one of 0. Whatever counts updates goes on counting. When a merge is due follows
 * from the number of updates, and what is drawn from the adapters' seed and the number of the merge: a resumed run needs
 * nothing besides weights and optimizer state.
 *
 * ReLoRA needs a start of full-rank training, which is the caller's: load those weights into the model first.
 *
 * Source: Lialin et al., "ReLoRA: High-Rank Training Through Low-Rank Updates", ICLR 2024 (arXiv 2307.05695), Algorithm 1.
 */
export class Relora {
  readonly #lora: Lora;
  readonly #optimizer: ReloraOptimizer;
  readonly #options: Required<ReloraOptions>;

  /**
   * @throws InvalidOptionError for options outside their domain, and for an optimizer whose state of A and B is not a
   *   number for each entry, such as one in a subspace.
   */
  constructor(lora: Lora, optimizer: ReloraOptimizer, options: ReloraOptions) {
    requireKnownKeys('relora', options, ['every', 'prune', 'pruneBy']);
    const { every, pruneBy = 'random' } = options;
    requireInteger('relora.every', every, 1);
    requireOneOf('relora.pruneBy', pruneBy, ['random', 'magnitude']);
    const prune = requireNumber('relora.prune', options.prune ?? (pruneBy === 'random' ? 0.999 : 0.9), '[0, 1]');
    const parts = Object.values(lora.parameters());
    if (typeof (optimizer as Partial<ReloraOptimizer> | null)?.memoryReport !== 'function') {
      throw notByEntry('an optimizer without a memoryReport, such as one of tf.train');
    }
    // A number for each entry makes the same share in any shape, be it of one entry; and a subspace moves.
    const small = optimizer.memoryReport(parts.map(({ name }) => ({ name, shape: [1, 1] })));
    const other = optimizer.memoryReport(parts).find(({ basisBytes, slotBytes, parameterBytes, rule }, i) => {
      const isOfEntries = slotBytes / parameterBytes === small[i]!.slotBytes / small[i]!.parameterBytes;
      return basisBytes > 0 || !isOfEntries || rule.includes('subspace(');
    });
    if (other !== undefined) throw notByEntry(other.rule);
    this.#lora = lora;
    this.#optimizer = optimizer;
    this.#options = { every, prune, pruneBy };
  }

  /**
   * Merges if it is time to; to be called before each update. Called a second time between the same updates, it changes
   * nothing more.
   *
   * @returns Whether it was.
   */
  async beforeUpdate(): Promise<boolean> {
    const { updates } = this.#optimizer;
    const { every } = this.#options;
    if (updates === 0 || updates % every !== 0) return false;
    const restart = updates / every;
    // The state first: it is read and checked before anything changes.
    await this.#pruneState(restart);
    this.#lora.restart(restart);
    return true;
  }

  async #pruneState(restart: number): Promise<void> {
    const parts = new Map(
      Object.entries(this.#lora.parameters()).map(([name, part]) => [part.name, { name, part }] as const),
    );
    const masks = new Map<string, Uint8Array>();
    const made: Tensor[] = [];
    try {
      const pruned: NamedTensor[] = [];
      for (const entry of await this.#optimizer.getWeights()) {
        const owner = parts.get(variableOf(entry.name));
        // Sums of gradients are none of its state: the update that they are for is still to come.
        const isState =
          owner !== undefined && entry.tensor.dtype === 'float32' && !entry.name.endsWith('::accumulator');
        if (!isState) {
          pruned.push(entry);
          continue;
        }
        if (!sameShape(entry.tensor.shape, owner.part.shape)) throw notByEntry(entry.name);
        const values = (await entry.tensor.data<'float32'>()).slice();
        const mask = masks.get(owner.name) ?? this.#kept(owner.name, values, restart);
        masks.set(owner.name, mask);
        for (let i = 0; i < values.length; i++) if (mask[i] === 0) values[i] = 0;
        made.push(tensor(values, entry.tensor.shape));
        pruned.push({ name: entry.name, tensor: made.at(-1)! });
      }
      await this.#optimizer.setWeights(pruned);
    } finally {
      dispose(made);
    }
  }

  /** 1 for the entries that keep their state, by its first slot. */
  #kept(name: string, first: Float32Array, restart: number): Uint8Array {
    const { prune, pruneBy } = this.#options;
    if (pruneBy === 'random') {
      const key = randomKey(this.#lora.config.seed, name, 'prune', restart);
      return Uint8Array.from(first, (_, i) => (randomUniform(key, i) < prune ? 0 : 1));
    }
    const order = Array.from(first, (_, i) => i).sort((i, j) => Math.abs(first[i]!) - Math.abs(first[j]!) || i - j);
    const mask = new Uint8Array(first.length).fill(1);
    for (const i of order.slice(0, Math.round(prune * first.length))) mask[i] = 0;
    return mask;
  }
}

function notByEntry(found: string): InvalidOptionError {
  return new InvalidOptionError({
    parameter: 'relora.optimizer',
    found,
    expected: 'an optimizer that keeps a number for each entry of A and B, which can be pruned entry by entry',
    advice: 'Take adamW, lion, sgdm, or LoRA without restarts.',
  });
}

export interface RewarmedOptions {
  readonly schedule: Schedule;
  /** Updates between two merges (K). */
  readonly every: number;
  /** Updates of warm-up after each merge: fewer than `every`. */
  readonly warmup: number;
  /** Where a warm-up begins: at `zero`, or one `step` above. Default zero. */
  readonly warmupStart?: WarmupStart;
}

/**
 * A schedule that rises from 0 again after every K updates, up to where it would be: at update k = nK + j with n ≥ 1 and
 * j < warmup it is j / warmup times the schedule's own rate.
 */
export function rewarmed(options: RewarmedOptions): Schedule {
  requireKnownKeys('rewarmed', options, ['schedule', 'every', 'warmup', 'warmupStart']);
  const { schedule, every, warmup, warmupStart = 'zero' } = options;
  requireSchedule('rewarmed.schedule', schedule);
  requireInteger('rewarmed.every', every, 1);
  requireInteger('rewarmed.warmup', warmup, 0);
  requireOneOf('rewarmed.warmupStart', warmupStart, ['zero', 'step']);
  if (warmup >= every) {
    throw new InvalidOptionError({
      parameter: 'rewarmed.warmup',
      found: warmup,
      expected: `fewer updates than the ${every} between two merges`,
    });
  }
  const first = warmupStart === 'zero' ? 0 : 1;
  const at = (k: number): number => {
    const j = k % every;
    const share = k < every || j >= warmup ? 1 : Math.min(1, (j + first) / warmup);
    return share * schedule.at(k);
  };
  const { kind, options: own } = schedule;
  return { kind: 'rewarmed', options: { schedule: { kind, options: own }, every, warmup, warmupStart }, at };
}

registerSchedule('rewarmed', options => {
  const { schedule, ...rest } = options as unknown as RewarmedOptions;
  return rewarmed({ ...rest, schedule: scheduleFromJson(schedule) });
});
