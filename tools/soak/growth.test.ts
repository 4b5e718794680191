import { expect, test } from 'vitest';
import { describe, type Loop, optimizerLoops, refreshLoops, stepLoops, watch } from './growth.js';
import { TinyModel } from './runs.js';

// The short form of `npm run soak -- steps`, `optimizers` and `refreshes`.

test.each<Loop>([...stepLoops(800), ...optimizerLoops(600), ...refreshLoops(80)])(
  '$turns $name on $backend hold as much in the end as in the middle',
  async loop => {
    const growth = await watch(loop);
    expect(growth.faults, describe(growth)).toEqual([]);
  },
);

test('what grows is found', async () => {
  const kept: unknown[] = [];
  const leak: Loop = {
    name: 'leaks',
    backend: 'cpu',
    turns: 80,
    start: () => ({
      turn: () => {
        kept.push(new Float64Array(16_384).fill(1), new TinyModel(`${kept.length}/`));
      },
      end: () => {
        for (const each of kept) if (each instanceof TinyModel) each.dispose();
        kept.length = 0;
      },
    }),
  };
  const { faults } = await watch(leak);
  expect(faults.map(fault => fault.split(' ')[0])).toEqual(expect.arrayContaining(['heap', 'tensors', 'bytes']));
});
