import type { ComposedOptimizer } from '@frugaljs/composer';
import { randomKey, randomNormals, randomPermutation, type Shape, sizeOf } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { worstError } from '../../../tools/test-support/closeness.js';
import { bitsOf, composition, type Place, type Settings } from '../../../tools/test-support/compositions.js';
import { type CheckpointDraft, CheckpointStorageError, Checkpoints, MemoryStore } from '../src/index.js';
import { type PlainRound, plainWeights } from './plain-rules.js';

// The life of a run as a list of commands. What it should have come to is told by a log of the rounds that survived: an
// optimizer that makes these without interruption, in one order, and for simple rules loops over arrays.

/** What can happen to a run. */
type Command =
  | { readonly do: 'train'; readonly rounds: number }
  /** A round in which a gradient is NaN, under the policy `skip`. */
  | { readonly do: 'not a number' }
  | { readonly do: 'save'; readonly copy: boolean; readonly trains: boolean }
  | { readonly do: 'fail to save'; readonly at: keyof CheckpointDraft | 'begin' }
  | { readonly do: 'join' }
  | { readonly do: 'freeze' | 'unfreeze'; readonly variable: number }
  | { readonly do: 'reorder'; readonly seed: number }
  | { readonly do: 'rate'; readonly rate: number }
  /** All that lives is dropped; a new process goes on from the last save that was reported. */
  | { readonly do: 'kill'; readonly place: Place | null };

/** A run and its life; small enough to print, and the same every time. */
export interface History {
  readonly composition: string;
  readonly place: Place;
  readonly accumulate: number;
  readonly clip: number | null;
  readonly seed: number;
  readonly commands: readonly Command[];
}

/** One call of `applyGradients`. */
interface Round {
  readonly id: number;
  /** Variables that had a gradient, in canonical order. */
  readonly names: readonly string[];
  readonly rate: number;
  readonly isBad: boolean;
}

/** Variables in canonical order. The last two join later. */
const SHAPES: Readonly<Record<string, Shape>> = {
  'layers.0.up': [3, 4],
  'layers.1.up': [4, 3],
  norm: [3],
  'layers.2.up': [3, 3],
  'layers.3.up': [2, 4],
  head: [2, 3],
};
const NAMES = Object.keys(SHAPES);
const FIRST = 4;

const place: fc.Arbitrary<Place> = fc.constantFrom(
  { backend: 'cpu', kernels: 'auto' },
  { backend: 'cpu', kernels: 'reference' },
  { backend: 'wasm', kernels: 'auto' },
  { backend: 'wasm', kernels: 'reference' },
);
const variableIndex = fc.nat({ max: NAMES.length - 1 });

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('train' as const), rounds: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('not a number' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('save' as const), copy: fc.boolean(), trains: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('fail to save' as const),
      at: fc.constantFrom('begin' as const, 'create' as const, 'commit' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('freeze' as const), variable: variableIndex }) },
  // Most come while nothing is frozen, and do nothing.
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unfreeze' as const), variable: variableIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reorder' as const), seed: fc.nat({ max: 999 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('rate' as const), rate: fc.constantFrom(0.02, 0.005, 0) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('kill' as const), place: fc.option(place, { nil: null, freq: 8 }) }),
  },
);

/** Random lives of runs of these compositions; most on the cpu backend. */
export function histories(compositions: readonly string[]): fc.Arbitrary<History> {
  return fc.record({
    composition: fc.constantFrom(...compositions),
    place: fc.oneof(
      { weight: 6, arbitrary: fc.constant<Place>({ backend: 'cpu', kernels: 'auto' }) },
      { weight: 2, arbitrary: fc.constant<Place>({ backend: 'cpu', kernels: 'reference' }) },
      { weight: 1, arbitrary: place },
    ),
    accumulate: fc.constantFrom(1, 1, 2, 3),
    clip: fc.option(fc.constant(0.5), { nil: null, freq: 2 }),
    seed: fc.nat({ max: 9999 }),
    commands: fc.array(command, { minLength: 5, maxLength: 14 }),
  });
}

/** The gradient of a variable in a round. */
function gradientOf(seed: number, name: string, { id }: Pick<Round, 'id'>): Float32Array {
  return randomNormals(randomKey(seed, name, id), sizeOf(SHAPES[name]!));
}

/** The value that a variable starts from. */
function startOf(seed: number, name: string): Float32Array {
  return randomNormals(randomKey(seed, name, 'start'), sizeOf(SHAPES[name]!));
}

/** Where a run stands, as far as it is not in weights and state: what its program would know. */
interface Standing {
  readonly present: readonly string[];
  readonly frozen: ReadonlySet<string>;
  readonly rate: number;
  /** Rounds made, each with those before it. */
  readonly log: readonly Round[];
  /** Whether some of them were made on another backend or by other kernels. */
  readonly hasMoved: boolean;
}

const BEGINNING: Standing = {
  present: NAMES.slice(0, FIRST),
  frozen: new Set(),
  rate: 0.01,
  log: [],
  hasMoved: false,
};

/**
 * After a change of backend or kernels, weights may differ by this, relative to the largest: float32 rounding, divided by
 * small second moments, over at most some fifty updates.
 */
const AFTER_A_MOVE = 1e-3;
/** The loops over arrays count in float64. */
const AGAINST_LOOPS = 1e-4;

/**
 * Lives through a history and compares what came of it with what should have.
 *
 * @returns How often each command took effect.
 * @throws Error saying what differs.
 */
export async function live(history: History): Promise<Readonly<Record<string, number>>> {
  await tf.setBackend(history.place.backend);
  const before = tf.memory().numTensors;
  const done: Record<string, number> = {};
  const run = new Living(history);
  try {
    for (const each of history.commands) {
      if (await run.obey(each)) done[each.do] = (done[each.do] ?? 0) + 1;
    }
    await run.compare();
  } finally {
    run.drop();
  }
  const left = tf.memory().numTensors - before;
  if (left !== 0) throw new Error(`${left} tensors are left behind`);
  return done;
}

/** A store that refuses when it is told to. */
class RefusingStore extends MemoryStore {
  refuses: string | null = null;

  override async begin(): Promise<CheckpointDraft> {
    this.refuse('begin');
    const draft = await super.begin();
    return {
      ...draft,
      create: async file => {
        this.refuse('create');
        return draft.create(file);
      },
      commit: async name => {
        this.refuse('commit');
        return draft.commit(name);
      },
    };
  }

  private refuse(at: string): void {
    if (this.refuses !== at) return;
    throw new CheckpointStorageError('full', { parameter: 'store', found: `no room to ${at}`, expected: 'room' });
  }
}

class Living {
  private standing: Standing = BEGINNING;
  /** The last save that was reported; null before there is one. */
  private saved: Standing | null = null;
  private place: Place;
  private rounds = 0;
  private order: readonly string[] = NAMES;
  private variables = new Map<string, tf.Variable>();
  private optimizer: ComposedOptimizer;
  private readonly store = new RefusingStore();
  private readonly checkpoints = new Checkpoints({ store: this.store, keepLast: 1, onWarning: () => {} });

  constructor(private readonly history: History) {
    this.place = history.place;
    this.optimizer = this.compose();
    this.make(this.standing.present);
  }

  /** Carries a command out. @returns Whether it could be. */
  async obey(each: Command): Promise<boolean> {
    const { standing } = this;
    const { present, frozen } = standing;
    switch (each.do) {
      case 'train':
        for (let i = 0; i < each.rounds; i++) this.round(false);
        return true;
      case 'not a number':
        this.round(true);
        return true;
      case 'save':
        await this.save(each.copy, each.trains);
        return true;
      case 'fail to save': {
        this.store.refuses = each.at;
        const failed = await this.save(false, false).then(
          () => false,
          error => error instanceof CheckpointStorageError,
        );
        this.store.refuses = null;
        if (!failed) throw new Error('a save that the store refused was reported');
        return true;
      }
      case 'join': {
        const joining = NAMES[present.length];
        if (joining === undefined) return false;
        this.make([joining]);
        this.standing = { ...standing, present: [...present, joining] };
        return true;
      }
      case 'freeze': {
        const moving = present.filter(name => !frozen.has(name));
        // What nothing trains makes no updates.
        if (moving.length === 1) return false;
        this.standing = { ...standing, frozen: new Set([...frozen, moving[each.variable % moving.length]!]) };
        return true;
      }
      case 'unfreeze': {
        const thawed = [...frozen][each.variable % frozen.size];
        if (thawed === undefined) return false;
        this.standing = { ...standing, frozen: new Set([...frozen].filter(name => name !== thawed)) };
        return true;
      }
      case 'reorder':
        this.order = [...randomPermutation(randomKey(each.seed), NAMES.length)].map(i => NAMES[i]!);
        return true;
      case 'rate':
        this.optimizer.setLearningRate(each.rate);
        this.standing = { ...standing, rate: each.rate };
        return true;
      case 'kill':
        await this.kill(each.place);
        return true;
    }
  }

  /** Compares weights and state with those of a run in which nothing but the surviving rounds happened. */
  async compare(): Promise<void> {
    const { standing, history } = this;
    const weights = new Map([...this.variables].map(([name, each]) => [name, each.dataSync().slice() as Float32Array]));
    const state = standing.hasMoved ? '' : await stateOf(this.optimizer);
    const { skippedUpdates, updates } = this.optimizer;
    const { backend, kernels } = this.place;
    this.drop();
    const whole = await uninterrupted(history, standing, this.place);
    const where = `on ${backend}, kernels ${kernels}`;
    if (updates !== whole.updates) throw new Error(`${updates} updates instead of ${whole.updates}`);
    if (skippedUpdates !== whole.skipped) throw new Error(`${skippedUpdates} skipped instead of ${whole.skipped}`);
    for (const [name, values] of weights) {
      const expected = whole.weights.get(name)!;
      if (standing.hasMoved) {
        const error = worstError(values, expected);
        if (!(error <= AFTER_A_MOVE)) throw new Error(`${name} differs by ${error} after a move`);
      } else if (Buffer.compare(bytesOf(values), bytesOf(expected)) !== 0) {
        throw new Error(`${name} is ${values} instead of ${expected} ${where}`);
      }
      const plain = plainWeights(history, startOf(history.seed, name), this.seenBy(name));
      const error = plain === null ? 0 : worstError(values, plain);
      if (!(error <= AGAINST_LOOPS)) throw new Error(`${name} differs by ${error} from loops over arrays ${where}`);
    }
    if (!standing.hasMoved && state !== whole.state) {
      throw new Error(`the state is\n${state}\ninstead of\n${whole.state}\n${where}`);
    }
  }

  /** The surviving rounds as one variable saw them. */
  private seenBy(name: string): PlainRound[] {
    return this.standing.log.map(round => ({
      gradient: round.names.includes(name) ? gradientOf(this.history.seed, name, round) : null,
      rate: round.rate,
      isBad: round.isBad,
    }));
  }

  /** Frees all that lives. */
  drop(): void {
    this.optimizer.dispose();
    tf.dispose([...this.variables.values()]);
    this.variables.clear();
  }

  private round(isBad: boolean): void {
    const { present, frozen, rate, log } = this.standing;
    const names = present.filter(name => !frozen.has(name));
    const round: Round = { id: this.rounds++, names, rate, isBad };
    apply(this.optimizer, this.history.seed, round, this.order);
    this.standing = { ...this.standing, log: [...log, round] };
  }

  private async save(copy: boolean, trains: boolean): Promise<void> {
    const { standing } = this;
    const saving = await this.checkpoints.save(
      { step: standing.log.length, model: this.model(), optimizer: this.optimizer },
      { copy, whileBusy: 'wait' },
    );
    if (trains) this.round(false);
    await saving!.done;
    this.saved = standing;
  }

  private async kill(place: Place | null): Promise<void> {
    this.drop();
    const moves = place !== null && place !== this.place && !isSensitive(this.history.composition);
    this.standing = this.saved ?? BEGINNING;
    if (moves) {
      if (this.saved !== null && this.saved.log.length > 0) this.standing = { ...this.standing, hasMoved: true };
      // What was saved there is now saved by a run that has moved.
      this.saved = this.saved === null ? null : this.standing;
      this.place = place;
      await tf.setBackend(place.backend);
    }
    this.optimizer = this.compose();
    this.make(this.standing.present);
    if (this.saved === null) return;
    const checkpoint = (await this.checkpoints.latest())!;
    await checkpoint.restore({
      model: this.model(),
      optimizer: this.optimizer,
      accept: ({ path }) => path === 'kernels',
    });
  }

  private make(names: readonly string[]): void {
    for (const name of names) this.variables.set(name, variableOf(this.history.seed, name));
  }

  private model(): Record<string, tf.Variable> {
    return Object.fromEntries(this.variables);
  }

  private compose(): ComposedOptimizer {
    return composition(this.history.composition, settingsOf(this.history, this.place, this.standing.rate));
  }
}

/** Signs of what a dense projector leaves over are partly those of rounding noise, which another backend has its own of. */
function isSensitive(name: string): boolean {
  return /svd|random|dct/.test(name);
}

function settingsOf({ accumulate, clip, seed }: History, { kernels }: Place, learningRate: number): Settings {
  const clipping = clip === null ? {} : { clip: { globalNorm: clip } };
  return { learningRate, accumulate, seed, kernels, onNonFinite: 'skip', ...clipping };
}

function variableOf(seed: number, name: string): tf.Variable {
  return tf.tidy(() => tf.variable(tf.tensor(startOf(seed, name), [...SHAPES[name]!]), true, name));
}

/** Makes one round, the gradients listed in some order. */
function apply(optimizer: ComposedOptimizer, seed: number, round: Round, order: readonly string[]): void {
  const listed = order.filter(name => round.names.includes(name));
  const gradients = listed.map(name => {
    const values = gradientOf(seed, name, round);
    if (round.isBad && name === listed[0]) values[0] = Number.NaN;
    return { name, tensor: tf.tensor(values, [...SHAPES[name]!]) };
  });
  try {
    optimizer.applyGradients(gradients);
  } finally {
    tf.dispose(gradients.map(({ tensor }) => tensor));
  }
}

/** The run that made the surviving rounds and no others, in canonical order. */
async function uninterrupted(
  history: History,
  { log, present, rate }: Standing,
  place: Place,
): Promise<{ weights: Map<string, Float32Array>; state: string; updates: number; skipped: number }> {
  const variables = new Map(present.map(name => [name, variableOf(history.seed, name)]));
  const optimizer = composition(history.composition, settingsOf(history, place, BEGINNING.rate));
  try {
    for (const round of log) {
      optimizer.setLearningRate(round.rate);
      apply(optimizer, history.seed, round, NAMES);
    }
    optimizer.setLearningRate(rate);
    return {
      weights: new Map([...variables].map(([name, each]) => [name, each.dataSync().slice() as Float32Array])),
      state: await stateOf(optimizer),
      updates: optimizer.updates,
      skipped: optimizer.skippedUpdates,
    };
  } finally {
    optimizer.dispose();
    tf.dispose([...variables.values()]);
  }
}

/** The whole state by name, as text. */
async function stateOf(optimizer: ComposedOptimizer): Promise<string> {
  const state = await optimizer.getWeights();
  return state
    .map(({ name, tensor }) => `${name} ${bitsOf([tensor])}`)
    .sort()
    .join('\n');
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
