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
  const relatives = ['GaLore AdamW', 'GaLore Adafactor', 'Fira AdamW', 'APOLLO AdamW', 'LDAdam LDAdamW', 'SCALE SCALE'];
  const classes = [...projected.map(name => `FRUGAL ${name}`), ...relatives];
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

  const fira = { lr: 0.01, rank: 2, update_proj_gap: 3, alpha: 0.5, proj_type: 'std' };
  const channel = { scale: 4, scale_type: 'channel', proj: 'random', proj_type: 'std' };
  const apollo = { lr: 0.01, rank: 2, update_proj_gap: 3, ...channel };
  const ldAdam = { lr: 0.01, rank: 2 };
  const relatives: readonly [string, object, object][] = [
    ...(
      [
        ['Fira AdamW', fira],
        ['APOLLO AdamW', apollo],
      ] as const
    ).flatMap(([name, config]): [string, object, object][] => [
      [name, config, { lr: 0.011 }],
      [name, config, { betas: [0.8, 0.999] }],
      [name, config, { betas: [0.9, 0.99] }],
      [name, config, { eps: 1e-3 }],
      [name, config, { weight_decay: 0.1 }],
      [name, config, { correct_bias: false }],
      [name, config, { rank: 1 }],
      [name, config, { update_proj_gap: 2 }],
    ]),
    ['Fira AdamW', fira, { alpha: 0.6 }],
    ['Fira AdamW', fira, { proj_type: 'left' }],
    ['APOLLO AdamW', apollo, { scale: 5 }],
    ['APOLLO AdamW', apollo, { scale_type: 'tensor' }],
    ['APOLLO AdamW', apollo, { proj: 'svd' }],
    // `scale_front` is not here: growth is relative, so that it changes nothing but what the limiter's 1e-8 counts for.
    ['APOLLO AdamW', apollo, { disable_nl: true }],
    ['LDAdam LDAdamW', ldAdam, { lr: 0.011 }],
    ['LDAdam LDAdamW', ldAdam, { betas: [0.9, 0.99] }],
    ['LDAdam LDAdamW', ldAdam, { betas: [0.908, 0.98] }],
    ['LDAdam LDAdamW', ldAdam, { eps: 1e-4 }],
    ['LDAdam LDAdamW', ldAdam, { weight_decay: 0.1 }],
    ['LDAdam LDAdamW', ldAdam, { rank: 3 }],
    ['LDAdam LDAdamW', ldAdam, { rho: 0.9 }],
    ['LDAdam LDAdamW', ldAdam, { proj_type: 'left' }],
    ['LDAdam LDAdamW', ldAdam, { error_feedback: false }],
    ['SCALE SCALE', { lr: 0.01 }, { lr: 0.011 }],
    ['SCALE SCALE', { lr: 0.01 }, { wd: 0.1 }],
    ['SCALE SCALE', { lr: 0.01 }, { momentum: 0.8 }],
    ['SCALE SCALE', { lr: 0.01 }, { adam_lr: 0.02 }],
    ['SCALE SCALE', { lr: 0.01 }, { adamw_betas: [0.8, 0.999] }],
    ['SCALE SCALE', { lr: 0.01 }, { adamw_eps: 1e-3 }],
  ];
  test.each(relatives)('%s %j replayed with %j', async (official, config, change) => {
    const trajectory = simulated(official, config);
    expect(await replayCase(trajectory, options)).toMatchObject({ passed: true });
    const altered = await replayCase({ ...trajectory, config: { ...config, ...change } }, options);
    expect(altered.passed).toBe(false);
    // A file that holds bases of another size says so.
    if (altered.reason !== null)
      expect(altered.reason).toMatch(/subspace of "w\d": expected (matrices of shape|the subspace)/);
  });
});
