import '@frugaljs/backend-wasm';
import { linear, type Refresh, type Rule } from '@frugaljs/core';
import { asMatrix, blockwise, dct, random, rows, sketch, svd, varying } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, sgdm } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { useBackend } from '../../../tools/test-support/backends.js';
import {
  type ComposedOptimizer,
  type ComposeOptions,
  compose,
  compositionFromJson,
  drop,
  recipe,
  residual,
  subspace,
} from '../src/index.js';
import { BACKENDS } from './fixtures.js';

// Refreshes and ranks that change by what training shows.

interface Seen {
  readonly name: string;
  readonly update: number;
  readonly refreshIndex: number;
}

let made = 0;

/** An optimizer that is given gradients one by one, and says which subspaces it chose in which update. */
class Run {
  readonly seen: Seen[] = [];
  readonly variables = new Map<string, tf.Variable>();
  optimizer: ComposedOptimizer;
  private update = 0;
  /** Two runs may go on at once. */
  private readonly suffix = ` of run ${++made}`;

  constructor(refresh: Refresh, options: Partial<ComposeOptions> = {}, projector = svd({ rank: 2 })) {
    const spied = {
      ...projector,
      fit: (...[g, previous, context]: Parameters<typeof projector.fit>) => {
        this.seen.push({
          name: this.shortOf(context.site.name),
          update: this.update,
          refreshIndex: context.refreshIndex,
        });
        return projector.fit(g, previous, context);
      },
    };
    const use = subspace({ projector: spied, rule: adamW(), combine: residual(signSgd()), refresh, onRefresh: 'keep' });
    this.optimizer = compose({ learningRate: 0.01, groups: [{ use }], ...options });
  }

  /** Gives gradients of 6 × 4 by name. */
  give(gradients: { readonly [name: string]: number[] }): this {
    const tensors = Object.fromEntries(
      Object.entries(gradients).map(([name, values]) => {
        if (!this.variables.has(name)) {
          const variable = tf.tidy(() => tf.variable(tf.ones([6, 4]), true, `${name}${this.suffix}`));
          this.variables.set(name, variable);
        }
        return [`${name}${this.suffix}`, tf.tensor(values, [6, 4])];
      }),
    );
    this.optimizer.applyGradients(tensors);
    tf.dispose(tensors);
    this.update += 1;
    return this;
  }

  shortOf(name: string): string {
    return name.slice(0, -this.suffix.length);
  }

  updatesOf(name: string): number[] {
    return this.seen.filter(each => each.name === name).map(({ update }) => update);
  }

  values(): number[][] {
    return [...this.variables.values()].map(variable => Array.from(variable.dataSync()));
  }

  dispose(): void {
    this.optimizer.dispose();
    for (const variable of this.variables.values()) variable.dispose();
  }
}

const runs: Run[] = [];
const start = (...given: ConstructorParameters<typeof Run>): Run => {
  const run = new Run(...given);
  runs.push(run);
  return run;
};
afterEach(() => {
  for (const run of runs.splice(0)) run.dispose();
});

/** Numbers that look random and are the same for the same seed. */
const noise = (seed: number): number[] =>
  Array.from({ length: 24 }, (_, i) => (43758.5453 * Math.sin(12.9898 * (seed + 1) + 78.233 * (i + 1))) % 1);

/** u vᵀ with u all ones but for noise, and v the unit vector of a column: of rank 1 but for little. */
const inColumns = (columns: readonly number[], seed = 0): number[] =>
  Array.from({ length: 24 }, (_, i) => (columns.includes(i % 4) ? 1 + 0.1 * Math.sin(i + seed) : 0));

const similarity = { measure: 'similarity' } as const;

describe.each(BACKENDS)('events on %s', backend => {
  useBackend(backend);

  it('that never happen leave the plain cadence, bit for bit', () => {
    const events: (Refresh['when'] & object)[] = [
      { measure: 'similarity', atLeast: 1, last: 40 },
      { measure: 'energy', below: 0, check: 1, least: 1 },
      { measure: 'energy', fallenTo: 0, check: 2 },
    ];
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.constantFrom(...events),
        fc.array(fc.subarray(['a', 'b'], { minLength: 1 }), { minLength: 8, maxLength: 16 }),
        (every, stagger, when, present) => {
          const [plain, withEvent] = [start({ every, stagger }), start({ every, stagger, when })];
          for (const run of [plain, withEvent]) {
            // Both join in the first update, whoever misses later ones.
            run.give({ a: noise(0), b: noise(100) });
            present.forEach((names, i) => {
              run.give(Object.fromEntries(names.map(name => [name, noise(i + (name === 'a' ? 1 : 101))])));
            });
          }
          expect(withEvent.seen).toEqual(plain.seen);
          expect(withEvent.values()).toEqual(plain.values());
          for (const run of runs.splice(0)) run.dispose();
        },
      ),
      { numRuns: 12 },
    );
  });

  it('similar bases double the interval once there are enough of them, up to the longest', () => {
    const alike = inColumns([1]);
    const updatesWith = (refresh: Refresh, updates: number): number[] => {
      const run = start(refresh);
      for (let i = 0; i < updates; i++) run.give({ w: alike });
      expect(run.seen.map(({ refreshIndex }) => refreshIndex)).toEqual(run.seen.map((_, i) => i));
      return run.updatesOf('w');
    };
    // One similarity at each refresh from the second on: with three of them, intervals are 2, 2, 2, then 4, 8, 16 …
    expect(updatesWith({ every: 2, when: { ...similarity, last: 3 } }, 40)).toEqual([0, 2, 4, 6, 10, 18, 34]);
    expect(updatesWith({ every: 2, longest: 5, when: { ...similarity, last: 1 } }, 24)).toEqual([0, 2, 6, 11, 16, 21]);
    expect(updatesWith({ every: 3, when: { ...similarity, last: 1, atLeast: 0 } }, 30)).toEqual([0, 3, 9, 21]);
  });

  it('zeros, of which the basis before remains, are like nothing', () => {
    const run = start({ every: 2, when: { ...similarity, last: 1 } });
    for (let i = 0; i < 8; i++) run.give({ w: inColumns([]) });
    expect(run.updatesOf('w')).toEqual([0, 2, 4, 6]);
  });

  it('a vector and its negative are alike, and others are not', () => {
    const [flipped, turning] = [start, start].map(make => make({ every: 1, when: { ...similarity, last: 1 } }));
    for (let i = 0; i < 8; i++) {
      flipped!.give({ w: inColumns([1]).map(x => (i % 2 === 0 ? x : -x)) });
      turning!.give({ w: inColumns([i % 4]) });
    }
    expect(flipped!.updatesOf('w')).toEqual([0, 1, 3, 7]);
    expect(turning!.updatesOf('w')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('the mean of the last similarities decides, and the refreshes of one parameter are its own', () => {
    const run = start({ every: 1, when: { ...similarity, last: 2, atLeast: 0.6 } });
    // |cos| is 1, 0, 1, 1 at refreshes 1 to 4: means 0.5, 0.5 and 1.
    const columns = [0, 0, 1, 1, 1, 1, 1, 1, 1];
    columns.forEach((column, i) => {
      run.give({ w: inColumns([column]), v: inColumns([i % 4]) });
    });
    expect(run.updatesOf('w')).toEqual([0, 1, 2, 3, 4, 6]);
    expect(run.updatesOf('v')).toEqual(columns.map((_, i) => i));
  });

  const rank1 = svd({ rank: 1 });

  it('gradients that leave the subspace have it chosen anew, those that stay do not', () => {
    const when = { measure: 'energy', below: 0.5, check: 2, least: 3 } as const;
    const [still, turning] = [start, start].map(make => make({ every: 50, when }, {}, rank1));
    for (let i = 0; i < 30; i++) {
      still!.give({ w: inColumns([0], i) });
      // From update 10 on in other columns, and again from 20.
      turning!.give({ w: inColumns([i < 10 ? 0 : i < 20 ? 1 : 2], i) });
    }
    expect(still!.updatesOf('w')).toEqual([0]);
    // Looks are at 3, 5, 7, 9 and 11, and then at 14, 16, 18, 20.
    expect(turning!.updatesOf('w')).toEqual([0, 11, 20]);
    expect(turning!.seen.map(({ refreshIndex }) => refreshIndex)).toEqual([0, 1, 2]);
  });

  it('the share is held against what it was when the subspace was chosen', () => {
    const refreshed = (fallenTo: number): number[] => {
      const run = start(
        { every: Number.POSITIVE_INFINITY, when: { measure: 'energy', fallenTo, check: 1 } },
        {},
        rank1,
      );
      run.give({ w: inColumns([0]) });
      // In equal parts of column 0 and 1: what the subspace captures falls from 1 to about a half.
      for (let i = 0; i < 3; i++) {
        const [a, b] = [inColumns([0]), inColumns([1])];
        run.give({ w: a.map((x, j) => x + b[j]!) });
      }
      return run.updatesOf('w');
    };
    expect(refreshed(0.9)).toEqual([0, 1]);
    expect(refreshed(0.3)).toEqual([0]);
  });

  it('after a refresh before its time the whole interval begins', () => {
    const run = start({ every: 6, when: { measure: 'energy', below: 0.5, check: 1 } }, {}, rank1);
    for (let i = 0; i < 16; i++) run.give({ w: inColumns([i < 4 ? 0 : 1]) });
    expect(run.updatesOf('w')).toEqual([0, 4, 10]);
  });

  it('gradients of zeros, missing ones and skipped updates show nothing', () => {
    const when = { measure: 'energy', below: 0.5, check: 1 } as const;
    const run = start({ every: 50, when }, { onNonFinite: 'skip' }, rank1);
    run.give({ w: inColumns([0]), v: inColumns([0]) });
    run.give({ w: Array.from({ length: 24 }, () => 0), v: inColumns([0]) });
    run.give({ w: inColumns([1]).map(() => Number.NaN), v: inColumns([1]) });
    expect(run.optimizer.skippedUpdates).toBe(1);
    run.give({ v: inColumns([0]) });
    expect(run.updatesOf('w')).toEqual([0]);
    expect(run.updatesOf('v')).toEqual([0]);
    run.give({ w: inColumns([1]) });
    expect(run.updatesOf('w')).toEqual([0, 4]);
  });

  it('with accumulate the mean is looked at', () => {
    const run = start({ every: 50, when: { measure: 'energy', below: 0.3, check: 1 } }, { accumulate: 2 }, rank1);
    for (let i = 0; i < 4; i++) run.give({ w: inColumns([0]) });
    // Half of each: a share of a half, although that of the second round is nothing.
    run.give({ w: inColumns([0]) }).give({ w: inColumns([1]) });
    expect(run.seen.length).toBe(1);
    run.give({ w: inColumns([1]) }).give({ w: inColumns([1]) });
    expect(run.seen.length).toBe(2);
  });

  it('coordinates of a cosine basis are left, too', () => {
    const when = { measure: 'energy', fallenTo: 0.6, check: 1 } as const;
    const [still, turning] = [start, start].map(make => make({ every: 50, when }, {}, dct({ rank: 1 }) as never));
    for (let i = 0; i < 8; i++) {
      const rows = Array.from({ length: 24 }, (_, j) => (i < 4 ? 1 : j % 4 < 2 ? 1 : -1));
      still!.give({ w: rows.map(() => 1) });
      turning!.give({ w: rows });
    }
    expect(still!.updatesOf('w')).toEqual([0]);
    expect(turning!.updatesOf('w')).toEqual([0, 4]);
  });

  // On cpu every operation reads.
  it.runIf(backend === 'wasm')(
    'numbers are read back in refreshes and looks alone, and nothing is left of them',
    () => {
      const when = { measure: 'energy', below: 0.1, check: 3, least: 2 } as const;
      const run = start({ every: 9, when }, { onNonFinite: 'ignore' });
      const reads = vi.spyOn(tf.backend(), 'readSync');
      try {
        const found: number[] = [];
        const tensors: number[] = [];
        for (let i = 0; i < 12; i++) {
          const before = reads.mock.calls.length;
          run.give({ w: inColumns([0, 1]) });
          if (reads.mock.calls.length > before) found.push(i);
          tensors.push(tf.memory().numTensors);
        }
        expect(found).toEqual([0, 2, 5, 8, 9, 11]);
        expect(new Set(tensors).size).toBe(1);
      } finally {
        reads.mockRestore();
      }
    },
  );

  const EVENTS: { readonly [name: string]: Refresh } = {
    similarity: { every: 2, longest: 6, when: { ...similarity, last: 2 } },
    energy: { every: 9, when: { measure: 'energy', below: 0.4, fallenTo: 0.8, check: 2 } },
    'similarity, staggered': { every: 3, stagger: true, when: { ...similarity, last: 1, atLeast: 0.2 } },
  };

  it.each(Object.keys(EVENTS))('%s: a restored run goes on bit for bit', async name => {
    const projector = svd({ rank: 2 });
    const use = subspace({ projector, rule: adamW(), combine: drop(), refresh: EVENTS[name]!, onRefresh: 'keep' });
    const run = async (restoreAt: number | null) => {
      let optimizer = compose({ learningRate: 0.01, groups: [{ use }] });
      const variables = ['a', 'b'].map(each => tf.tidy(() => tf.variable(tf.ones([6, 4]), true, each)));
      const bytes: number[] = [];
      for (let update = 0; update < 24; update++) {
        if (update === restoreAt) {
          const next = compose(compositionFromJson(JSON.parse(JSON.stringify(optimizer))));
          const saved = await optimizer.getWeights();
          expect(saved.map(each => each.name)).toContain('a::events');
          await next.setWeights(saved);
          optimizer.dispose();
          optimizer = next;
        }
        const gradients = {
          a: tf.tensor(inColumns([update < 12 ? 0 : 1, 3], update), [6, 4]),
          b: tf.tensor(noise(Math.floor(update / 5)), [6, 4]),
        };
        optimizer.applyGradients(gradients);
        tf.dispose(gradients);
      }
      bytes.push(...variables.flatMap(variable => Array.from(variable.dataSync())));
      const states = await optimizer.getWeights();
      const state = states.map(each => [each.name, Array.from(each.tensor.dataSync())]);
      optimizer.dispose();
      tf.dispose(variables);
      return { bytes, state };
    };
    const whole = await run(null);
    for (const at of [1, 3, 5, 8, 13, 17, 23]) expect(await run(at)).toEqual(whole);
  });

  const byEnergy = (more: object = {}): Rule =>
    subspace({
      projector: svd({ density: 0.75, energy: 0.9, ...more }),
      rule: adamW(),
      combine: residual(signSgd()),
      refresh: { every: 3 },
    });

  it('a rank by energy keeps to its bounds and to the memory that was announced', async () => {
    const w = tf.tidy(() => tf.variable(tf.ones([6, 4]), true, 'w'));
    const before = tf.memory().numBytes;
    const optimizer = compose({ learningRate: 0.01, groups: [{ use: byEnergy() }] });
    const promised = optimizer.memoryReport([w]);
    // Rank 3 of 4: two moments of 6 × 3 and a basis of 4 × 3.
    expect(promised.totalStateBytes).toBe(4 * (2 * 18 + 12));
    expect(promised.peak.totalStateBytes).toBe(promised.totalStateBytes);
    const ranks: number[] = [];
    for (let update = 0; update < 12; update++) {
      const isDue = update % 3 === 0;
      const announced = optimizer.memoryReport([w]);
      // Rank 1, then all ranks, then 2.
      const values =
        update < 3
          ? inColumns([2])
          : update < 6
            ? noise(7)
            : inColumns([1, 2]).map((x, i) => x * (i % 4 === 1 || i < 12 ? 1 : -1));
      const g = tf.tensor(values, [6, 4]);
      optimizer.applyGradients({ w: g });
      g.dispose();
      const held = tf.memory().numBytes - before;
      if (isDue) expect(held).toBeLessThanOrEqual(announced.totalStateBytes);
      else expect(held).toBe(announced.totalStateBytes);
      expect(optimizer.memoryReport([w]).peak.totalStateBytes).toBe(promised.totalStateBytes);
      expect(held).toBeLessThanOrEqual(promised.totalStateBytes);
      if (isDue) ranks.push(held / (4 * (2 * 6 + 4)));
    }
    expect(ranks).toEqual([1, 3, 2, 2]);
    optimizer.dispose();
    w.dispose();
  });

  it('a rank by energy is restored bit for bit, and a damaged one is refused', async () => {
    const run = async (restoreAt: number | null): Promise<Float32Array> => {
      const w = tf.tidy(() => tf.variable(tf.ones([6, 4]), true, 'w'));
      let optimizer = compose({ learningRate: 0.01, groups: [{ use: byEnergy({ minRank: 1 }) }] });
      for (let update = 0; update < 10; update++) {
        if (update === restoreAt) {
          const next = compose(compositionFromJson(JSON.parse(JSON.stringify(optimizer))));
          await next.setWeights(await optimizer.getWeights());
          optimizer.dispose();
          optimizer = next;
        }
        const g = tf.tensor(inColumns(update % 2 === 0 ? [1] : [0, 1, 3], update), [6, 4]);
        optimizer.applyGradients({ w: g });
        g.dispose();
      }
      const values = w.dataSync<'float32'>().slice();
      optimizer.dispose();
      w.dispose();
      return values;
    };
    const whole = await run(null);
    for (const at of [1, 3, 5, 7]) expect(await run(at)).toEqual(whole);

    const w = tf.tidy(() => tf.variable(tf.ones([6, 4]), true, 'w'));
    const optimizer = compose({ learningRate: 0.01, groups: [{ use: byEnergy() }] });
    const wide = tf.ones([4, 4]);
    const saved = ['updates', 'skipped', 'accumulated'].map(name => ({
      name: `::${name}`,
      tensor: tf.scalar(0, 'int32'),
    }));
    await optimizer.setWeights([
      ...saved,
      { name: 'w::epoch', tensor: tf.scalar(0, 'int32') },
      { name: 'w::basis/right', tensor: wide },
    ]);
    const g = tf.ones([6, 4]);
    expect(() => optimizer.applyGradients({ w: g })).toThrow(
      /w::basis\/right: expected a float32 tensor of shape \[4,3\], or with fewer columns, found a float32 tensor of shape \[4,4\]/,
    );
    optimizer.dispose();
    tf.dispose([w, wide, g]);
  });
});

describe('what is refused', () => {
  useBackend('cpu');

  const make = (refresh: Refresh, projector = svd({ rank: 2 }) as Parameters<typeof subspace>[0]['projector']): Rule =>
    subspace({ projector, rule: sgdm(), refresh });
  const every = 5;

  test.each([
    [
      { every, when: 'similarity' as never },
      /subspace\.refresh\.when: expected an event, such as \{ measure: 'similarity' \}.*found similarity/,
    ],
    [{ every, when: { measure: 'energy' } }, /subspace\.refresh\.when: expected `below`, `fallenTo` or both/],
    [
      { every, when: { measure: 'energy', below: 2 } },
      /subspace\.refresh\.when\.below: expected a number in \[0, 1\], found 2/,
    ],
    [
      { every, when: { measure: 'energy', below: 0.5, check: 0 } },
      /when\.check: expected an integer of at least 1, found 0/,
    ],
    [{ every, when: { measure: 'similarity', atLeast: -1 } }, /when\.atLeast: expected a number in \[0, 1\], found -1/],
    [{ every, when: { measure: 'similarity', last: 0 } }, /when\.last: expected an integer of at least 1, found 0/],
    [
      { every, when: { measure: 'similarity', below: 0.5 } as never },
      /when\.below: expected one of the options measure, atLeast, last/,
    ],
    [
      { every, growth: 2, when: { measure: 'similarity' } },
      /subspace\.refresh\.growth: expected 1 with `when`.*found 2/,
    ],
    [{ every, longest: 3, when: { measure: 'similarity' } }, /subspace\.refresh\.longest: expected at least `every`/],
  ] as [Refresh, RegExp][])('%j', (refresh, message) => {
    expect(() => make(refresh)).toThrow(message);
  });

  test.each([
    [
      rows({ density: 0.5 }),
      /subspace\.refresh\.when: expected a projector that is fitted to the gradient, such as svd, found rows, of which the basis follows from the seed/,
    ],
    [random({ density: 0.5 }), /found random, of which/],
    [sketch({ density: 0.5 }), /found sketch, of which/],
    [blockwise({ density: 0.5 }), /found blockwise, of which/],
  ])('a projector that does not follow gradients', (projector, message) => {
    expect(() => make({ every, when: similarity }, projector)).toThrow(message);
  });

  it('vectors of indices, which have no direction', () => {
    const optimizer = compose({
      learningRate: 1,
      groups: [{ use: make({ every, when: similarity }, dct({ density: 0.5 })) }],
    });
    expect(() => optimizer.memoryReport([{ name: 'w', shape: [4, 4] }])).toThrow(
      /subspace\.refresh\.when at "w": expected a projector with vectors to compare, such as svd, found the measure similarity with dct/,
    );
    optimizer.dispose();
  });

  it('state of a size that changes, other than to begin anew', () => {
    for (const onRefresh of ['keep', 'transport'] as const) {
      expect(() => subspace({ projector: svd({ energy: 0.9 }), rule: adamW(), onRefresh })).toThrow(
        /subspace\.onRefresh: expected reset with svd by energy/,
      );
    }
  });

  it('an event that was exchanged in a copy', () => {
    const rule = make({ every, when: similarity });
    const copy = { ...rule, refresh: { every, when: { measure: 'energy', below: 0.5 } } } as Rule;
    expect(() => compose({ learningRate: 1, groups: [{ use: copy }] })).toThrow(/subspace\.refresh/);
  });

  it('a saved event that no run leaves behind', async () => {
    const run = start({ every, when: similarity });
    run.give({ w: inColumns([0]) });
    const saved = await run.optimizer.getWeights();
    const events = saved.find(({ name }) => name.endsWith('::events'))!;
    const broken = saved.map(each => (each === events ? { ...each, tensor: tf.zerosLike(events.tensor) } : each));
    const next = compose(compositionFromJson(JSON.parse(JSON.stringify(run.optimizer))));
    await next.setWeights(broken);
    run.optimizer.dispose();
    const g = tf.ones([6, 4]);
    const [{ name }] = [...run.variables.values()] as [tf.Variable];
    expect(() => next.applyGradients({ [name]: g })).toThrow(
      /::events: expected what a run leaves behind, found an interval of 0/,
    );
    next.dispose();
    g.dispose();
  });
});

describe('where nothing can be read at once', () => {
  useBackend('cpu');

  it('events and ranks by energy are refused by name, before anything is written', () => {
    const backend = tf.backend() as { readToGPU?: unknown };
    const own = Object.getPrototypeOf(backend) as { readToGPU?: unknown };
    // As a backend on a GPU has it.
    Object.defineProperty(own, 'readToGPU', { value: () => undefined, configurable: true });
    try {
      const w = tf.tidy(() => tf.variable(tf.ones([6, 4]), true, 'w'));
      const g = tf.ones([6, 4]);
      for (const [use, message] of [
        [
          subspace({ projector: svd({ rank: 2 }), rule: adamW(), refresh: { every: 2, when: similarity } }),
          /subspace\.refresh\.when at "w": expected one on which the host knows/,
        ],
        [
          subspace({ projector: svd({ rank: 2, energy: 0.5 }), rule: adamW() }),
          /svd\.energy at "w": expected one on which the host can choose/,
        ],
      ] as const) {
        const optimizer = compose({ learningRate: 1, groups: [{ use }], kernels: 'reference' });
        expect(() => optimizer.applyGradients({ w: g })).toThrow(message);
        expect(Array.from(w.dataSync())).toEqual(Array.from({ length: 24 }, () => 1));
        optimizer.dispose();
      }
      tf.dispose([w, g]);
    } finally {
      Reflect.deleteProperty(own, 'readToGPU');
    }
  });
});

describe('peaks of memory', () => {
  useBackend('cpu');

  const peakOf = (
    use: Rule,
    shapes: readonly number[][] = [[8, 8]],
    update = 0,
  ): readonly [now: number, peak: number] => {
    const optimizer = compose({ learningRate: 1, groups: [{ use }] });
    const report = optimizer.memoryReport(
      shapes.map((shape, i) => ({ name: `layers.${i}.w`, shape })),
      { update },
    );
    const { totalStateBytes, peak } = report;
    optimizer.dispose();
    expect(peak.map(({ parameter }) => parameter)).toEqual(report.map(({ parameter }) => parameter));
    return [totalStateBytes, peak.totalStateBytes];
  };
  const withDensity = (from: number, to: number): Rule =>
    subspace({
      projector: varying(density => rows({ density }), linear({ from, to, steps: 10 })),
      rule: adamW(),
      combine: residual(signSgd()),
      refresh: { every: 2 },
    });
  /** Two moments and the index of k rows of 8. */
  const bytes = (k: number): number => 4 * (2 * 8 * k + k);

  it('are those of the highest density, falling or growing', () => {
    expect(peakOf(withDensity(0.25, 0.75))).toEqual([bytes(2), bytes(6)]);
    expect(peakOf(withDensity(0.75, 0.25), [[8, 8]], 40)).toEqual([bytes(2), bytes(6)]);
    expect(peakOf(withDensity(0.5, 0.5))).toEqual([bytes(4), bytes(4)]);
  });

  it('are reached in a run, and never passed', () => {
    const w = tf.tidy(() => tf.variable(tf.ones([8, 8]), true, 'w'));
    const before = tf.memory().numBytes;
    for (const [from, to] of [
      [0.25, 1],
      [1, 0.25],
    ] as const) {
      const optimizer = compose({ learningRate: 0.01, groups: [{ use: withDensity(from, to) }] });
      const { peak } = optimizer.memoryReport([w]);
      let most = 0;
      for (let update = 0; update < 24; update++) {
        const g = tf.ones([8, 8]);
        optimizer.applyGradients({ w: g });
        g.dispose();
        most = Math.max(most, tf.memory().numBytes - before);
      }
      expect(most).toBe(peak.totalStateBytes);
      optimizer.dispose();
    }
    w.dispose();
  });

  it('are those of a schedule of one’s own, too', () => {
    const density = { kind: 'mine', options: {}, at: (i: number) => (i === 7 ? 0.75 : 0.25) };
    const use = subspace({
      projector: asMatrix(varying(density => svd({ density }), density)),
      rule: adamW(),
      refresh: { every: 2 },
    });
    expect(peakOf(use, [[8, 8]])).toEqual([4 * (2 * 16 + 16), 4 * (2 * 48 + 48)]);
  });

  it('are those of the fullest turn of blocks, and not of all blocks at once', () => {
    const use = subspace({
      projector: blockwise({ density: 0.5, order: 'ascending' }),
      rule: adamW(),
      refresh: { every: 3 },
    });
    // Pairs 0 and 1, then 2 and 3.
    const shapes = [
      [4, 4],
      [4, 4],
      [8, 8],
      [8, 4],
    ];
    expect(peakOf(use, shapes)).toEqual([8 * 32, 8 * 96]);
    expect(peakOf(use, shapes, 3)).toEqual([8 * 96, 8 * 96]);
  });
});

test('a restored kernel of a convolution has the size of its refresh', async () => {
  await tf.setBackend('cpu');
  const projector = asMatrix(varying(density => svd({ density }), linear({ from: 0.25, to: 0.75, steps: 2 })));
  const use = subspace({ projector, rule: adamW(), refresh: { every: 1 } });
  const w = tf.tidy(() => tf.variable(tf.ones([2, 4, 8]), true, 'conv'));
  const optimizer = compose({ learningRate: 0.01, groups: [{ use }] });
  const g = tf.tensor(noise(3).concat(noise(4), noise(5).slice(0, 16)), [2, 4, 8]);
  for (let i = 0; i < 3; i++) optimizer.applyGradients({ conv: g });
  const next = compose(compositionFromJson(JSON.parse(JSON.stringify(optimizer))));
  await next.setWeights(await optimizer.getWeights());
  next.applyGradients({ conv: g });
  expect(next.updates).toBe(4);
  for (const each of [optimizer, next]) each.dispose();
  tf.dispose([w, g]);
});

test('qGalore is GaLore whose intervals double', async () => {
  await tf.setBackend('cpu');
  const optimizer = recipe('qGalore', { updateGap: 3, longestGap: 12, last: 2 });
  const json = JSON.parse(JSON.stringify(optimizer));
  expect(json.groups[0].use.options.refresh).toEqual({
    every: 3,
    longest: 12,
    when: { measure: 'similarity', atLeast: 0.4, last: 2 },
  });
  expect(JSON.parse(JSON.stringify(compose(compositionFromJson(json))))).toEqual(json);
  expect(String(optimizer)).toContain('every 3 × 2 while similarity ≥ 0.4, keep');
  expect(() => recipe('qGalore', { longestGap: 5 })).toThrow(
    /qGalore\.longestGap: expected at least `updateGap`, which is 200, found 5/,
  );
  optimizer.dispose();
});
