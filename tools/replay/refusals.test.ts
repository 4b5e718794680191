import { beforeAll, describe, expect, test } from 'vitest';
import { startBackend } from './command.js';
import { relativeError, replayCase } from './replay.js';
import { simulated } from './simulated.js';
import { readTrajectories, type TrajectoryCase } from './trajectory-file.js';

beforeAll(() => startBackend('cpu'));

/** A run of three steps of two small parameters. */
function trajectoryOf(official: string, config: object = {}): TrajectoryCase {
  return simulated(official, config, 'small ');
}

async function reasonOf(value: unknown): Promise<string> {
  const { passed, reason } = await replayCase(value, { recordedBases: false, kernels: 'auto' });
  expect(passed).toBe(false);
  return reason ?? '(no reason)';
}

const FIRA = { rank: 2, update_proj_gap: 2, alpha: 1, proj_type: 'std' };
const APOLLO = { rank: 2, update_proj_gap: 2, scale: 1, scale_type: 'channel', proj: 'random', proj_type: 'std' };

const without = (config: object, key: string): object =>
  Object.fromEntries(Object.entries(config).filter(([name]) => name !== key));

/** Arguments that Fira's, APOLLO's, LDAdam's, SCALE's and FOAM's classes do not take. */
const RELATIVES: readonly [string, object, RegExp][] = [
  ...(['Fira AdamW', 'APOLLO AdamW'] as const).flatMap((official): [string, object, RegExp][] => [
    [official, { lr: -1 }, /config\.lr: expected a number in \[0, Infinity\)/],
    [official, { betas: [1, 0.9] }, /config\.betas\[0\]: expected a number in \[0, 1\)/],
    [official, { eps: -1 }, /config\.eps: expected a number in \[0, Infinity\)/],
    [official, { weight_decay: '0' }, /config\.weight_decay: expected a number/],
    [official, { correct_bias: 1 }, /config\.correct_bias: expected true or false/],
    [official, { no_deprecation_warning: 1 }, /config\.no_deprecation_warning: expected true or false/],
    [official, { update_proj_gap: 2 }, /config\.update_proj_gap: expected only arguments/],
    [official, { proj_quant: true }, /config\.proj_quant: expected only arguments/],
  ]),
  ['Fira RMSprop', {}, /unsupported class Fira RMSprop/],
  ['Fira AdamW', { ...FIRA, scale: 1 }, /config\.scale: expected only arguments of Fira AdamW/],
  ...['update_proj_gap', 'alpha', 'proj_type'].map((key): [string, object, RegExp] => [
    'Fira AdamW',
    without(FIRA, key),
    new RegExp(`config\\.${key}: expected a value`),
  ]),
  ['Fira AdamW', { ...FIRA, rank: 0 }, /config\.rank: expected an integer of at least 1/],
  ['Fira AdamW', { ...FIRA, update_proj_gap: 0 }, /config\.update_proj_gap: expected an integer of at least 1/],
  ['Fira AdamW', { ...FIRA, alpha: -1 }, /config\.alpha: expected a number in \[0, Infinity\)/],
  ['Fira AdamW', { ...FIRA, proj_type: 'diagonal' }, /config\.proj_type: .*std, reverse_std, right, left, full/],
  [
    'Fira AdamW',
    { ...FIRA, proj_type: 'full' },
    /config\.proj_type: expected std, reverse_std, right or left; with full/,
  ],
  ['Fira AdamW', { ...FIRA, rank: 9, proj_type: 'reverse_std' }, /config\.rank: expected a rank below 3 for proj_type/],
  ['APOLLO CAME', {}, /unsupported class APOLLO CAME/],
  ['APOLLO AdamW', { scale_front: 1 }, /config\.scale_front: expected true or false/],
  ['APOLLO AdamW', { disable_nl: 'yes' }, /config\.disable_nl: expected true or false/],
  ...['update_proj_gap', 'scale', 'scale_type', 'proj', 'proj_type'].map((key): [string, object, RegExp] => [
    'APOLLO AdamW',
    without(APOLLO, key),
    new RegExp(`config\\.${key}: expected a value`),
  ]),
  ['APOLLO AdamW', { ...APOLLO, rank: 0 }, /config\.rank: expected an integer of at least 1/],
  ['APOLLO AdamW', { ...APOLLO, update_proj_gap: 0.5 }, /config\.update_proj_gap: expected an integer/],
  ['APOLLO AdamW', { ...APOLLO, scale: -1 }, /config\.scale: expected a number in \[0, Infinity\)/],
  ['APOLLO AdamW', { ...APOLLO, scale_type: 'row' }, /config\.scale_type: .*channel, tensor, found row/],
  ['APOLLO AdamW', { ...APOLLO, proj: 'hadamard' }, /config\.proj: .*random, svd, found hadamard/],
  ['APOLLO AdamW', { ...APOLLO, proj_type: 'full' }, /config\.proj_type: .*full is not supported/],
  [
    'APOLLO AdamW',
    { ...APOLLO, proj_type: 'reverse_std' },
    /config\.proj_type: expected a side that projects the smaller dimension of shape/,
  ],
  ['LDAdam LDAdam8bit', {}, /unsupported class LDAdam LDAdam8bit/],
  ['LDAdam LDAdamW', { lr: 0 }, /config\.lr: expected a number in \(0, Infinity\)/],
  ['LDAdam LDAdamW', { betas: [0.9, 1] }, /config\.betas\[1\]: expected a number in \[0, 1\)/],
  ['LDAdam LDAdamW', { eps: 0 }, /config\.eps: expected a number in \(0, Infinity\)/],
  ['LDAdam LDAdamW', { weight_decay: -1 }, /config\.weight_decay: expected a number in \[0, Infinity\)/],
  ['LDAdam LDAdamW', { rank: 0 }, /config\.rank: expected an integer of at least 1/],
  ['LDAdam LDAdamW', { rank: 9 }, /config\.rank: expected at most 3 for the shape/],
  ['LDAdam LDAdamW', {}, /config\.rank: expected at most 3 for the shape/],
  ['LDAdam LDAdamW', { rho: 1 }, /config\.rho: expected a number in \[0, 1\)/],
  ['LDAdam LDAdamW', { proj_type: 'full' }, /config\.proj_type: .*std, reverse_std, left, right, found full/],
  ['LDAdam LDAdamW', { proj_method: 'svd' }, /config\.proj_method: expected power_iteration/],
  ['LDAdam LDAdamW', { proj_method: 'svd_lowrank' }, /config\.proj_method: expected power_iteration/],
  ['LDAdam LDAdamW', { proj_method: 'qr' }, /config\.proj_method: .*power_iteration, svd, svd_lowrank, found qr/],
  ['LDAdam LDAdamW', { error_feedback: 1 }, /config\.error_feedback: expected true or false/],
  ['LDAdam LDAdamW', { update_proj_gap: 2 }, /config\.update_proj_gap: expected only arguments of LDAdam LDAdamW/],
  ['SCALE Muon', {}, /unsupported class SCALE Muon/],
  ['SCALE SCALE', { lr: 0 }, /config\.lr: expected a number above 0/],
  ['SCALE SCALE', { wd: -1 }, /config\.wd: expected a number in \[0, Infinity\)/],
  ['SCALE SCALE', { momentum: 1 }, /config\.momentum: expected a number in \[0, 1\)/],
  ['SCALE SCALE', { adam_lr: -1 }, /config\.adam_lr: expected a number in \[0, Infinity\)/],
  ['SCALE SCALE', { adamw_betas: 0.9 }, /config\.adamw_betas: expected a list of two numbers/],
  ['SCALE SCALE', { adamw_eps: -1 }, /config\.adamw_eps: expected a number in \[0, Infinity\)/],
  ['SCALE SCALE', { debug: 1 }, /config\.debug: expected true or false/],
  ['SCALE SCALE', { weight_decay: 0.1 }, /config\.weight_decay: expected only arguments of SCALE SCALE/],
  ['FOAM AdamW', {}, /unsupported class FOAM AdamW/],
  ['FOAM FOAM', { level: -1 }, /config\.level: expected an integer of at least 0/],
  ['FOAM FOAM', { level: 25 }, /config\.level: expected at most 24/],
  ['FOAM FOAM', { scale: -1 }, /config\.scale: expected a number in \[0, Infinity\)/],
  ['FOAM FOAM', { correct_bias: false }, /config\.correct_bias: expected true/],
  ['FOAM FOAM', { rank: 2 }, /config\.rank: expected only arguments of FOAM FOAM/],
];

describe('a config that the official class does not take fails by name', () => {
  const changes: readonly [string, object, RegExp][] = [
    ['FRUGAL CoordAdamW', { densty: 0.5 }, /FRUGAL CoordAdamW: config\.densty: expected only arguments of .*density/],
    ['FRUGAL CoordAdamW', { proj_side: 'std' }, /config\.proj_side: expected only arguments of FRUGAL CoordAdamW/],
    ['FRUGAL CoordAdamW', { coord_choice: 'diagonal' }, /config\.coord_choice: .*columns, rows, randk, found diagonal/],
    ['FRUGAL CoordAdamW', { density: 1.5 }, /config\.density: expected a number in \[0, 1\], found 1\.5/],
    ['FRUGAL CoordAdamW', { update_gap: 0 }, /config\.update_gap: expected an integer of at least 1, found 0/],
    ['FRUGAL CoordAdamW', { inactive_update_rule: 'same' }, /config\.inactive_update_rule: .*no, sgd, sign_sgd/],
    ['FRUGAL CoordAdamW', { reset_statistics: 1 }, /config\.reset_statistics: expected true or false, found 1/],
    ['FRUGAL CoordAdamW', { betas: [0.9] }, /config\.betas: expected a list of two numbers/],
    ['FRUGAL CoordAdamW', { betas: [0.9, 1] }, /config\.betas\[1\]: expected a number in \[0, 1\)/],
    ['FRUGAL CoordAdamW', { lr: '0.1' }, /config\.lr: expected a number/],
    ['FRUGAL CoordLion', { eps: 1e-8 }, /config\.eps: expected only arguments of FRUGAL CoordLion/],
    ['FRUGAL BlockSGD', { nesterov: true }, /config\.nesterov: expected false without momentum/],
    ['FRUGAL BlockSGD', { nesterov: true, momentum: 0.9, dampening: 0.1 }, /config\.nesterov: .*dampening/],
    ['FRUGAL BlockAdamW', { block_order: 'mirror', density: 0.5 }, /even number of blocks for order mirror/],
    ['FRUGAL Adafactor', {}, /unsupported class FRUGAL Adafactor/],
    ['FRUGAL CoordCoordAdamW', {}, /unsupported class FRUGAL CoordCoordAdamW/],
    ['GaLore AdamW8bit', {}, /unsupported class GaLore AdamW8bit/],
    ['Sophia SophiaG', {}, /unsupported code base in "Sophia SophiaG"/],
    ['GaLore AdamW', { rank: 2 }, /config\.update_proj_gap: expected a value/],
    ['GaLore AdamW', { scale: 1 }, /config\.scale: expected only arguments/],
    ['GaLore AdamW', { dim: 3 }, /config\.dim: expected at most 2/],
    ['GaLore AdamW', { proj_quant: true }, /config\.proj_quant: expected false/],
    ['GaLore Adafactor', { lr: 0.1 }, /config\.lr: expected a number without relative_step, and none with it/],
    ['GaLore Adafactor', { relative_step: false }, /config\.lr: expected a number without relative_step/],
    [
      'GaLore Adafactor',
      { relative_step: false, lr: 0.1, warmup_init: true },
      /config\.warmup_init: expected false without relative_step/,
    ],
    ...RELATIVES,
  ];
  test.each(changes)('%s %j', async (official, config, message) => {
    const sound = trajectoryOf('FRUGAL BlockAdamW');
    expect(await reasonOf({ ...sound, official, config })).toMatch(message);
  });
});

describe('a recording that does not fit its config fails', () => {
  const recorded = (official: string, config: object, change: (subspaces: never[]) => unknown): TrajectoryCase => {
    const copy = JSON.parse(JSON.stringify(trajectoryOf(official, config)));
    for (const step of copy.steps) step.subspace = change(step.subspace);
    return copy;
  };
  const none = (): null[] => [null, null];

  test('random subspaces that are not on record', async () => {
    for (const [name, config] of [
      ['CoordAdamW', {}],
      ['BlockAdamW', { block_order: 'random' }],
      ['GaloreAdamW', { proj_type: 'random' }],
    ] as const) {
      expect(await reasonOf(recorded(`FRUGAL ${name}`, config, none))).toMatch(
        /(expected \{ (indices|basis) \}|a flag)/,
      );
    }
  });

  test('singular vectors without a record: fine unless state is kept, whose signs then are anybody’s guess', async () => {
    const fresh = recorded('FRUGAL GaloreAdamW', { density: 0.5, update_gap: 2 }, none);
    expect(await replayCase(fresh, { recordedBases: false, kernels: 'auto' })).toMatchObject({ passed: true });
    const kept = recorded('FRUGAL GaloreAdamW', { density: 0.5, update_gap: 2, reset_statistics: false }, none);
    expect(await reasonOf(kept)).toMatch(/expected \{ basis \}, found null/);
  });

  test('a subspace of a class that has none', async () => {
    const projected = trajectoryOf('FRUGAL BlockAdamW');
    for (const official of ['FRUGAL AdamW', 'GaLore AdamW', 'Fira AdamW', 'APOLLO AdamW', 'SCALE SCALE']) {
      const reason = await reasonOf({ ...projected, official });
      expect(reason).toMatch(new RegExp(`steps\\[0\\]\\.subspace: expected null, because this ${official} does not`));
    }
  });

  test('a subspace that changes between refreshes', async () => {
    const copy = JSON.parse(JSON.stringify(trajectoryOf('FRUGAL CoordAdamW', { density: 0.4 })));
    copy.steps[1].subspace[0].indices = [(copy.steps[0].subspace[0].indices[0] + 1) % 3];
    expect(await reasonOf(copy)).toMatch(/steps\[1\]\.subspace of "w0": expected the subspace of step 0/);
  });

  test('blocks in another order than the library takes them', async () => {
    const config = { block_order: 'ascending', density: 0.5 };
    const reversed = recorded('FRUGAL BlockAdamW', config, subspaces => [...subspaces].reverse());
    expect(await reasonOf(reversed)).toMatch(/block "w0" in refresh 0: expected not active, as recorded, found active/);
  });

  test('a missing gradient where the official code would fail', async () => {
    const copy = JSON.parse(JSON.stringify(trajectoryOf('FRUGAL CoordAdamW', { update_gap: 2 })));
    copy.steps[2].grads[1] = null;
    expect(await reasonOf(copy)).toMatch(/steps\[2\]\.grads of "w1": expected a gradient, because the subspace/);
  });

  test('a missing gradient where it would leave LDAdam’s error to be one', async () => {
    const copy = JSON.parse(JSON.stringify({ ...trajectoryOf('FRUGAL BlockAdamW'), official: 'LDAdam LDAdamW' }));
    copy.config = { rank: 1 };
    copy.steps[1].grads[0] = null;
    expect(await reasonOf(copy)).toMatch(/steps\[1\]\.grads of "w0": expected a gradient at every step/);
  });

  test('bases of another kind than the class has', async () => {
    for (const [official, config] of [
      ['Fira AdamW', FIRA],
      ['APOLLO AdamW', APOLLO],
      ['LDAdam LDAdamW', { rank: 2 }],
    ] as const) {
      const copy = { ...trajectoryOf('FRUGAL BlockAdamW'), official, config };
      expect(await reasonOf(copy)).toMatch(/steps\[0\]\.subspace of "w0": expected \{ basis \}, found \{"active"/);
    }
  });

  test('a parameter that the official projector cannot take', async () => {
    for (const [official, config] of [
      ['FRUGAL CoordAdamW', {}],
      ['FRUGAL GaloreAdamW', {}],
      ['Fira AdamW', FIRA],
      ['APOLLO AdamW', APOLLO],
      ['LDAdam LDAdamW', { rank: 2 }],
      ['SCALE SCALE', {}],
    ] as const) {
      const cube = { ...trajectoryOf('FRUGAL AdamW'), official, config };
      expect(await reasonOf(cube)).toMatch(/projectable parameter "w0": expected a matrix/);
    }
  });
});

describe('a broken file', () => {
  const sound = (): ReturnType<typeof JSON.parse> => JSON.parse(JSON.stringify(trajectoryOf('FRUGAL BlockAdamW')));

  test.each([
    ['not JSON', '{', /file: expected JSON/],
    [
      'another format',
      '{"format":"x/2","layout":"row-major","cases":[]}',
      /format: expected optimizer-trajectories\/1/,
    ],
    ['another layout', '{"format":"optimizer-trajectories/1","layout":"by column","cases":[]}', /layout: .*row-major/],
    ['no cases', '{"format":"optimizer-trajectories/1","layout":"row-major"}', /file: expected the key cases/],
    ['unknown key', '{"format":"optimizer-trajectories/1","layout":"row-major","cases":[],"lr":1}', /only the keys/],
  ])('%s', (_, text, message) => {
    expect(() => readTrajectories(text)).toThrow(message);
  });

  const spoiled: readonly [string, (copy: ReturnType<typeof sound>) => unknown, RegExp][] = [
    ['null', () => null, /case: expected an object, found null/],
    ['no steps', copy => ({ ...copy, steps: [] }), /steps: expected a list that is not empty/],
    ['unknown key', copy => ({ ...copy, schedule: 'cosine' }), /case: expected only the keys .*found "schedule"/],
    [
      'two parameters of one name',
      copy => {
        copy.params[1].name = 'w0';
      },
      /params: expected different names/,
    ],
    [
      'short gradient',
      copy => {
        copy.steps[1].grads[0].pop();
      },
      /steps\[1\]\.grads\[0\]: expected 12 numbers/,
    ],
    [
      'no result',
      copy => {
        copy.steps[1].params[0] = null;
      },
      /steps\[1\]\.params\[0\]: expected 12 numbers/,
    ],
    [
      'NaN',
      copy => {
        copy.steps[0].params[1][3] = 'NaN';
      },
      /steps\[0\]\.params\[1\]: expected 12 numbers/,
    ],
    [
      'one subspace',
      copy => {
        copy.steps[0].subspace.pop();
      },
      /steps\[0\]\.subspace: expected one entry for each/,
    ],
    [
      'odd subspace',
      copy => {
        copy.steps[0].subspace[0] = { rank: 2 };
      },
      /\{ indices \}, \{ basis/,
    ],
    [
      'subspace nobody has',
      copy => {
        copy.params[0].projectable = false;
      },
      /expected null, because w0 is not/,
    ],
  ];
  test.each(spoiled)('%s', async (_, spoil, message) => {
    const copy = sound();
    expect(await reasonOf(spoil(copy) === undefined ? copy : spoil(sound()))).toMatch(message);
  });
});

test('relative error', () => {
  expect(relativeError([1, 2], [1, 2])).toBe(0);
  expect(relativeError([0, 0], [0, 0])).toBe(0);
  expect(relativeError([0, 1e-30], [0, 0])).toBe(Number.POSITIVE_INFINITY);
  expect(relativeError([Number.NaN, 1], [1, 1])).toBe(Number.POSITIVE_INFINITY);
  expect(relativeError([1.5, -4], [1, -4])).toBeCloseTo(0.5);
  // Near 0 the error is relative to a tenth of the largest entry.
  expect(relativeError([0.001, 10], [0, 10])).toBeCloseTo(0.001);
});
