import { memory } from '@tensorflow/tfjs-core';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { PORTABLE_BACKENDS, startBackend } from './backend.js';
import { BOUND, type ReplayOptions, type ReplayResult, replayCase } from './replay.js';
import { frugalClass } from './simulation/frugal.js';
import { galoreClass } from './simulation/galore.js';
import { FRUGAL_CLASSES, frugalProblems, GALORE_CLASSES, galoreProblems } from './simulation/problems.js';
import { type Problem, type Simulation, simulate } from './simulation/run.js';
import type { TrajectoryCase } from './trajectory-file.js';

interface OfficialClass {
  readonly name: string;
  readonly problems: fc.Arbitrary<Problem>;
  readonly run: (problem: Problem) => Simulation;
}

const CLASSES: readonly OfficialClass[] = [
  ...FRUGAL_CLASSES.map(name => ({
    name: `FRUGAL ${name}`,
    problems: frugalProblems(name),
    run: (problem: Problem) => simulate(problem, frugalClass(name)),
  })),
  ...GALORE_CLASSES.map(name => ({
    name: `GaLore ${name}`,
    problems: galoreProblems(name),
    run: (problem: Problem) => simulate(problem, galoreClass(name)),
  })),
];

const OPTIONS = fc.record<ReplayOptions>({
  recordedBases: fc.boolean(),
  kernels: fc.constantFrom('auto', 'reference'),
});

/** As if read from a file. */
function replayed(trajectory: unknown, options: ReplayOptions): Promise<ReplayResult> {
  return replayCase(JSON.parse(JSON.stringify(trajectory)), options);
}

describe.each(PORTABLE_BACKENDS)('on %s', backend => {
  beforeAll(() => startBackend(backend));

  // Where a result hangs on rounding noise, such as the sign of a residual that is zero but for float32, no two programs
  // agree and nothing is compared. With side `full` Adam and Lion are noise-driven after every refresh,
  // and so is a sign residual of singular vectors of full rank.
  test.each(CLASSES)('$name: every draw of arguments agrees with a float64 simulation', async ({ problems, run }) => {
    let [clear, drawn] = [0, 0];
    await fc.assert(
      fc.asyncProperty(problems, OPTIONS, async (problem, options) => {
        const { trajectory, noisy } = run(problem);
        drawn += 1;
        if (noisy) return;
        clear += 1;
        const tensors = memory().numTensors;
        const { worst, reason, passed } = await replayed(trajectory, options);
        expect(reason).toBeNull();
        expect(worst!.error).toBeLessThanOrEqual(BOUND);
        expect(passed).toBe(true);
        expect(memory().numTensors).toBe(tensors);
      }),
      { numRuns: 40, seed: 20241107 },
    );
    expect(clear).toBeGreaterThan(drawn / 2);
  });
});

describe('an altered trajectory fails', () => {
  beforeAll(() => startBackend('cpu'));
  const options: ReplayOptions = { recordedBases: false, kernels: 'auto' };

  test.each(CLASSES)('$name: one entry off by a ten-thousandth of a tensor', async ({ problems, run }) => {
    await fc.assert(
      fc.asyncProperty(problems, fc.nat(), fc.nat(), fc.nat(), async (problem, step, parameter, entry) => {
        const { trajectory } = run(problem);
        const tensors = memory().numTensors;
        const copy: TrajectoryCase = JSON.parse(JSON.stringify(trajectory));
        const values = copy.steps[step % copy.steps.length]!.params[parameter % copy.params.length]! as number[];
        values[entry % values.length]! += 1e-4 * Math.max(...values.map(Math.abs));
        expect((await replayCase(copy, options)).passed).toBe(false);
        expect(memory().numTensors).toBe(tensors);
      }),
      { numRuns: 5, seed: 7 },
    );
  });

  const problem = (official: string, config: object): Problem => ({
    official,
    config: config as Problem['config'],
    params: ['w0', 'w1', 'w2', 'w3'].map(name => ({ name, shape: [6, 4], projectable: true })),
    steps: 5,
    seed: 5,
    missing: 0,
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
    const { trajectory } = simulate(problem(`FRUGAL ${name}`, config), frugalClass(name));
    expect(await replayed(trajectory, options)).toMatchObject({ passed: true });
    expect(await replayed({ ...trajectory, config: { ...config, ...change } }, options)).toMatchObject({
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
    const { trajectory } = simulate(problem(`GaLore ${name}`, config), galoreClass(name));
    expect(await replayed(trajectory, options)).toMatchObject({ passed: true });
    expect(await replayed({ ...trajectory, config: { ...config, ...change } }, options)).toMatchObject({
      passed: false,
    });
  });
});
