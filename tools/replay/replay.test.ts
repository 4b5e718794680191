import { memory } from '@tensorflow/tfjs-core';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { PORTABLE_BACKENDS, startBackend } from './command.js';
import { BOUND, type ReplayOptions, replayCase } from './replay.js';
import { SIMULATED, simulated } from './simulated.js';

const OPTIONS: readonly ReplayOptions[] = [true, false].flatMap(recordedBases =>
  (['auto', 'reference'] as const).map(kernels => ({ recordedBases, kernels })),
);

describe.each(PORTABLE_BACKENDS)('on %s', backend => {
  beforeAll(() => startBackend(backend));

  test.each(SIMULATED)('$name agrees with a float64 simulation', async trajectory => {
    for (const options of OPTIONS) {
      const tensors = memory().numTensors;
      const { worst, reason, passed } = await replayCase(trajectory, options);
      expect(reason).toBeNull();
      expect(worst!.error).toBeLessThanOrEqual(BOUND);
      expect(passed).toBe(true);
      expect(memory().numTensors).toBe(tensors);
    }
  });
});

test('the runs are of all classes', () => {
  const projected = ['AdamW', 'Lion', 'SGD'].flatMap(name => ['', 'Galore', 'Coord', 'Block'].map(kind => kind + name));
  const classes = [...projected.map(name => `FRUGAL ${name}`), 'GaLore AdamW', 'GaLore Adafactor'];
  expect([...new Set(SIMULATED.map(({ official }) => official))].sort()).toEqual(classes.sort());
});

describe('an altered trajectory fails', () => {
  beforeAll(() => startBackend('cpu'));
  const options: ReplayOptions = { recordedBases: false, kernels: 'auto' };

  test('one entry off by a ten-thousandth of a tensor', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...SIMULATED),
        fc.nat(),
        fc.nat(),
        fc.nat(),
        async (run, step, parameter, entry) => {
          const tensors = memory().numTensors;
          const copy = structuredClone(run);
          const values = copy.steps[step % copy.steps.length]!.params[parameter % copy.params.length]! as number[];
          values[entry % values.length]! += 1e-4 * Math.max(...values.map(Math.abs));
          expect((await replayCase(copy, options)).passed).toBe(false);
          expect(memory().numTensors).toBe(tensors);
        },
      ),
      { numRuns: 70, seed: 7 },
    );
  });

  const base = { lr: 0.01, weight_decay: 0.1, density: 0.5, update_gap: 2 };
  const changes: readonly [string, object, object][] = [
    ['AdamW', { lr: 0.01, weight_decay: 0.1 }, { weight_decay: 0.05 }],
    ['AdamW', { eps: 1e-3 }, { eps: 2e-3 }],
    ['AdamW', { correct_bias: false }, { correct_bias: true }],
    ['Lion', { lr: 0.01, betas: [0.9, 0.99] }, { betas: [0.5, 0.99] }],
    ['SGD', { lr: 0.01, momentum: 0.9 }, { dampening: 0.1 }],
    ['SGD', { lr: 0.01, momentum: 0.9 }, { nesterov: true }],
    ['SGD', { lr: 0.01, momentum: 0.9 }, { sign_update: true }],
    ['CoordAdamW', base, { coord_choice: 'rows' }],
    ['CoordAdamW', base, { density: 0.25 }],
    ['CoordAdamW', base, { update_gap: 3 }],
    ['CoordAdamW', base, { reset_statistics: false }],
    ['CoordAdamW', base, { inactive_update_rule: 'no' }],
    ['CoordAdamW', base, { inactive_lr_scale: 0.5 }],
    ['CoordAdamW', base, { proj_params_lr_scale: 0.5 }],
    ['GaloreAdamW', base, { proj_side: 'left' }],
    ['GaloreAdamW', { ...base, proj_type: 'random' }, { proj_type: 'svd' }],
    ['GaloreAdamW', { ...base, proj_type: 'random' }, { proj_type: 'randperm' }],
    ['GaloreAdamW', base, { density: 0.25 }],
    ['BlockAdamW', { ...base, block_order: 'ascending' }, { block_order: 'descending' }],
    ['BlockAdamW', { ...base, block_order: 'random' }, { density: 0.75 }],
    ['BlockSGD', { ...base, momentum: 0.9 }, { momentum: 0.8 }],
  ];
  test.each(changes)('FRUGAL %s %j replayed with %j', async (name, config, change) => {
    const trajectory = simulated(`FRUGAL ${name}`, config);
    expect(await replayCase(trajectory, options)).toMatchObject({ passed: true });
    expect(await replayCase({ ...trajectory, config: { ...config, ...change } }, options)).toMatchObject({
      passed: false,
    });
  });

  const group = { rank: 2, update_proj_gap: 2, scale: 0.25, proj_type: 'std' };
  const galoreChanges: readonly ['AdamW' | 'Adafactor', object, object][] = [
    ['AdamW', { ...group, lr: 0.01 }, { scale: 0.5 }],
    ['AdamW', { ...group, lr: 0.01 }, { rank: 3 }],
    ['AdamW', { ...group, lr: 0.01 }, { update_proj_gap: 3 }],
    ['AdamW', { ...group, lr: 0.01 }, { proj_type: 'reverse_std' }],
    ['AdamW', { ...group, lr: 0.01, eps: 1e-3 }, { eps: 2e-3 }],
    ['AdamW', { ...group, lr: 0.01 }, { weight_decay: 0.1 }],
    ['Adafactor', { ...group, beta1: 0.9 }, { beta1: 0.8 }],
    ['Adafactor', { ...group }, { scale_parameter: false }],
    ['Adafactor', { ...group }, { warmup_init: true }],
    ['Adafactor', { ...group }, { weight_decay: 0.1 }],
  ];
  test.each(galoreChanges)('GaLore %s %j replayed with %j', async (name, config, change) => {
    const trajectory = simulated(`GaLore ${name}`, config);
    expect(await replayCase(trajectory, options)).toMatchObject({ passed: true });
    expect(await replayCase({ ...trajectory, config: { ...config, ...change } }, options)).toMatchObject({
      passed: false,
    });
  });
});
