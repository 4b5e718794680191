import { InvalidOptionError, roundHalfToEven, type Shape, type Site } from '@frugaljs/core';
import { type BlockOrder, type BlockwiseOptions, blockwise } from '@frugaljs/projectors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

/** One site per name, all of one group. */
function groupOf(names: readonly string[], seed = 0, shape: Shape = [2, 2]): Site[] {
  const members = names.map(name => ({ name, shape }));
  return members.map(({ name }, index) => ({ name, shape, seed, path: '', members, index }));
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `w${i}`);
}

function activeAt(options: BlockwiseOptions, sites: readonly Site[], refreshIndex: number): number[] {
  const projector = blockwise(options);
  return sites.flatMap((site, i) => (projector.reducedShape(site, refreshIndex) === null ? [] : [i]));
}

/** The schedules with a running pointer, as FRUGAL's public code moves it at every refresh. */
function* simulate(order: BlockOrder, count: number, active: number): Generator<number[]> {
  const half = Math.floor(count / 2);
  let pointer = order === 'descending' ? count - 1 : 0;
  for (;;) {
    const chosen = new Set<number>();
    if (order === 'ascending') {
      for (let i = pointer; i < pointer + active; i++) chosen.add(i % count);
      pointer += active;
      if (pointer >= count) pointer -= count;
    } else if (order === 'descending') {
      for (let i = pointer; i > pointer - active; i--) chosen.add((i + count) % count);
      pointer -= active;
      if (pointer < 0) pointer += count;
    } else {
      for (let i = pointer; i < pointer + active / 2; i++) {
        chosen.add(i % half);
        chosen.add(count - 1 - (i % half));
      }
      pointer += active / 2;
      if (pointer >= half) pointer -= half;
    }
    yield [...chosen].sort((a, b) => a - b);
  }
}

describe('blockwise', () => {
  it.each(['ascending', 'descending', 'mirror'] as const)('%s follows the running pointer of the reference', order => {
    for (let count = 1; count <= 15; count++) {
      const sites = groupOf(numbered(count));
      for (let active = 0; active <= count; active++) {
        if (order === 'mirror' && active % 2 === 1) continue;
        const schedule = simulate(order, count, active);
        for (let refreshIndex = 0; refreshIndex < 2 * count + 3; refreshIndex++) {
          const expected = schedule.next().value;
          expect(activeAt({ density: active / count, order }, sites, refreshIndex)).toEqual(
            active === 0 ? [] : expected,
          );
        }
      }
    }
  });

  it('gives the sets of the official runs: 8 matrices, ρ = .25 descending and ρ = .5 mirror', () => {
    const sites = groupOf(numbered(8));
    const at = (options: BlockwiseOptions): number[][] => [0, 1, 2, 3, 4].map(e => activeAt(options, sites, e));
    expect(at({ density: 0.25, order: 'descending' })).toEqual([
      [6, 7],
      [4, 5],
      [2, 3],
      [0, 1],
      [6, 7],
    ]);
    expect(at({ density: 0.5, order: 'mirror' })).toEqual([
      [0, 1, 6, 7],
      [2, 3, 4, 5],
      [0, 1, 6, 7],
      [2, 3, 4, 5],
      [0, 1, 6, 7],
    ]);
  });

  it('rounds the number of active blocks half to even, and up to one (mirror: two) where there would be none', () => {
    for (const [count, density, active] of [
      [10, 0.25, 2],
      [14, 0.25, 4],
      [6, 0.25, 2],
      [7, 0.5, 4],
      [5, 0.5, 2],
    ] as const) {
      expect(activeAt({ density }, groupOf(numbered(count)), 0)).toHaveLength(active);
      expect(active).toBe(roundHalfToEven(count * density));
    }
    for (const [count, density] of [
      [1, 0.25],
      [2, 0.25],
      [2, 0.01],
      [12, 0.01],
    ] as const) {
      expect(roundHalfToEven(count * density)).toBe(0);
      expect(activeAt({ density }, groupOf(numbered(count)), 0)).toHaveLength(1);
      if (count > 1) expect(activeAt({ density, order: 'mirror' }, groupOf(numbered(count)), 0)).toHaveLength(2);
      expect(activeAt({ density: 0 }, groupOf(numbered(count)), 0)).toHaveLength(0);
    }
  });

  it('random: c different blocks in every refresh, which depend on the seed and the refresh and on no parameter', () => {
    const sites = groupOf(numbered(12), 7);
    const sets = Array.from({ length: 30 }, (_, refreshIndex) =>
      activeAt({ density: 0.25, order: 'random' }, sites, refreshIndex),
    );
    for (const set of sets) expect(set).toHaveLength(3);
    expect(new Set(sets.map(String)).size).toBeGreaterThan(20);
    const renamed = groupOf(
      numbered(12).map(name => `other.${name}`),
      7,
    );
    expect(activeAt({ density: 0.25, order: 'random' }, renamed, 3)).toEqual(sets[3]);
    expect(activeAt({ density: 0.25, order: 'random' }, groupOf(numbered(12), 8), 3)).not.toEqual(sets[3]);
  });

  it('random: every block is active with probability c / N', () => {
    const [count, refreshes] = [8, 4000];
    const sites = groupOf(numbered(count), 3);
    const projector = blockwise({ density: 0.25, order: 'random' });
    const hits = sites.map(
      site =>
        Array.from({ length: refreshes }, (_, e) => e).filter(e => projector.reducedShape(site, e) !== null).length,
    );
    // Five standard deviations of a binomial count.
    const slack = 5 * Math.sqrt(refreshes * 0.25 * 0.75);
    for (const hit of hits) expect(Math.abs(hit - refreshes / 4)).toBeLessThan(slack);
  });

  it('shuffled: every block exactly once in ⌈N/c⌉ refreshes, in an order that changes from pass to pass', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.nat(), fc.nat({ max: 5 }), (count, seed, skip) => {
        const sites = groupOf(numbered(count), seed);
        for (let active = 1; active <= count; active++) {
          const options = { density: active / count, order: 'shuffled', skip } as const;
          const refreshes = Math.ceil(count / active);
          for (const pass of [0, 1, 5]) {
            const visited = Array.from({ length: refreshes }, (_, i) =>
              activeAt(options, sites, pass * refreshes + i),
            ).flat();
            expect(visited.sort((a, b) => a - b)).toEqual(numbered(count).map((_, i) => i));
          }
        }
      }),
      { seed: 4, numRuns: 15 },
    );
    const sites = groupOf(numbered(9), 1);
    const pass = (p: number): string =>
      String(Array.from({ length: 9 }, (_, i) => activeAt({ density: 1 / 9, order: 'shuffled' }, sites, 9 * p + i)));
    expect(new Set([0, 1, 2, 3].map(pass)).size).toBe(4);
  });

  it('skip: a second split with the same order takes the blocks after those of the first', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('random', 'shuffled', 'ascending', 'descending'),
        fc.integer({ min: 2, max: 12 }),
        fc.nat({ max: 40 }),
        (order, count, refreshIndex) => {
          const sites = groupOf(numbered(count), 5);
          const active = Math.floor(count / 2);
          const density = active / count;
          const outer = activeAt({ density, order }, sites, refreshIndex);
          const inner = activeAt({ density, order, skip: active }, sites, refreshIndex);
          expect(inner.filter(block => outer.includes(block))).toEqual([]);
          if (order !== 'shuffled') expect(inner).toHaveLength(outer.length);
        },
      ),
      { seed: 6, numRuns: 60 },
    );
  });

  it('takes layers as blocks, by the number in the name', () => {
    const names = [
      'model.embed_tokens.weight',
      ...[0, 1, 2].flatMap(i => ['q_proj', 'up_proj'].map(part => `model.layers.${i}.${part}.weight`)),
      'model.norm.weight',
    ];
    const at = (refreshIndex: number): string[] => {
      const options = { density: 1 / 5, order: 'ascending', unit: 'layer' } as const;
      return activeAt(options, groupOf(names), refreshIndex).map(i => names[i]!);
    };
    expect([0, 1, 2, 3, 4, 5].map(at)).toEqual([
      ['model.embed_tokens.weight'],
      ['model.layers.0.q_proj.weight', 'model.layers.0.up_proj.weight'],
      ['model.layers.1.q_proj.weight', 'model.layers.1.up_proj.weight'],
      ['model.layers.2.q_proj.weight', 'model.layers.2.up_proj.weight'],
      ['model.norm.weight'],
      ['model.embed_tokens.weight'],
    ]);
  });

  it.each([
    [['block_1/kernel', 'block_1/bias', 'block_10/kernel'], 2],
    [['transformer.h.0.attn', 'transformer.h.0.mlp', 'transformer.h.1.mlp'], 2],
    [['encoder.layer.0.w', 'decoder.layer.0.w'], 2],
    [['dense_1/kernel', 'dense_1/bias', 'dense/kernel', 'dense/bias'], 3],
    [['model.0.weight', 'model.0.bias', 'model.2.weight'], 2],
    [['transformer_block_3/query/kernel', 'transformer_block_3/value/kernel', 'head'], 2],
  ])('recognizes the layers of %s', (names, count) => {
    const options = { density: 1 / count, order: 'ascending', unit: 'layer' } as const;
    const sizes = Array.from(
      { length: count },
      (_, refreshIndex) => activeAt(options, groupOf(names), refreshIndex).length,
    );
    expect(sizes.reduce((sum, size) => sum + size)).toBe(names.length);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
  });

  it('takes a pattern for the layers and keeps it in its options', () => {
    const names = ['a-stage1-x', 'b-stage1-y', 'a-stage2-x', 'rest'];
    for (const layerPattern of [/stage(\d+)/, 'stage(\\d+)']) {
      const options = { density: 1 / 3, order: 'ascending', unit: 'layer', layerPattern } as const;
      expect([0, 1, 2].map(refreshIndex => activeAt(options, groupOf(names), refreshIndex))).toEqual([
        [0, 1],
        [2],
        [3],
      ]);
      expect(blockwise(options).options['layerPattern']).toBe('stage(\\d+)');
    }
  });

  it('refuses mirror with an odd number of active blocks and says what to do', () => {
    const [first] = groupOf(numbered(84));
    const projector = blockwise({ density: 0.25, order: 'mirror' });
    const complaint = () => projector.check!(first!);
    expect(complaint).toThrow(InvalidOptionError);
    expect(complaint).toThrow('blockwise.density: expected an even number of blocks');
    expect(complaint).toThrow('Choose another order, or a density such as 22/84');
    expect(() => blockwise({ density: 0.5, order: 'mirror', skip: 1 }).check!(groupOf(numbered(4))[0]!)).toThrow(
      'blockwise.skip',
    );
  });

  it('refuses patterns that it could not save', () => {
    expect(() => blockwise({ unit: 'layer', layerPattern: /layer(\d)/i })).toThrow('blockwise.layerPattern');
    expect(() => blockwise({ unit: 'layer', layerPattern: '(' })).toThrow('blockwise.layerPattern');
  });
});
