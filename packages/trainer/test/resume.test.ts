import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeReadOnly, smallDisk } from '../../../tools/test-support/folders.js';
import { frugal, frugalHere, smallRun } from './support/command.js';

// Processes that train, wait for the disk and are stopped: seconds, but many where other work has the machine.
vi.setConfig({ testTimeout: 240_000 });

const { folder, flags, remove } = smallRun();
afterAll(remove);
// Commands that no signal ends run in this process, which saves starting one for each.
beforeAll(() => process.chdir(folder));

const at = (name: string): string => join(folder, name);
const json = (name: string) => JSON.parse(readFileSync(at(name), 'utf8'));
const run = frugalHere;

/** Subspaces change every 4 updates, and two batches make an update. */
const SETTINGS = ['--update-gap', '4', '--density', '0.5', '--accumulate', '2', '--eval-every', '7', '--sample', '0'];
const train = (...args: string[]) => run('train', ...flags, ...SETTINGS, ...args);

/** Sends a signal once, as soon as a file of events holds a step. */
function signalAtStep(signal: NodeJS.Signals, log: string, step: number) {
  return (child: ChildProcess): void => {
    const timer = setInterval(() => {
      if (!readEvents(log).some(event => event.step === step)) return;
      clearInterval(timer);
      child.kill(signal);
    }, 10);
    child.once('exit', () => clearInterval(timer));
  };
}

function readEvents(log: string): { event: string; step?: number; loss?: number }[] {
  try {
    const lines = readFileSync(at(log), 'utf8').split('\n');
    return lines.slice(0, -1).map(line => JSON.parse(line));
  } catch {
    return [];
  }
}

/** Runs the command and sends it a signal after a step. */
function interrupted(signal: NodeJS.Signals, step: number, log: string, args: string[]) {
  let watched = false;
  return frugal(['train', ...flags, ...SETTINGS, '--log', log, ...args], {
    cwd: folder,
    watch: child => {
      if (!watched) signalAtStep(signal, log, step)(child);
      watched = true;
    },
  });
}

test.each([
  ['SIGINT', 130],
  ['SIGHUP', 129],
  ['SIGTERM', 143],
] as const)('after %s the command that is printed goes on bit for bit', async (signal, exitCode) => {
  const whole = await train('--steps', '30', '--json', `${signal}-whole.json`);
  expect(whole).toMatchObject({ code: 0 });
  const log = `${signal}.jsonl`;
  const args = ['--steps', '30', '--save', `runs ${signal}`, '--json', `${signal}-halves.json`];
  const first = await interrupted(signal, 13, log, args);
  expect(first.code).toBe(exitCode);
  expect(first.stderr).toContain('Stopping after this step, then saving. Press Ctrl-C again to leave at once.');
  const [, saved, command] = /^Saved in (.*)\. To go on:\n {2}(.*)\n/m.exec(first.stdout)!;
  expect(readdirSync(at(`runs ${signal}`))).toContain(saved!.split('/').at(-1));
  expect(command).toBe(`frugal train --resume 'runs ${signal}' --log ${log} --json ${signal}-halves.json`);

  const words = command!.match(/'[^']*'|\S+/g)!.map(word => word.replaceAll("'", ''));
  const second = await frugal(words.slice(1), { cwd: folder });
  expect({ ...second, stdout: '' }).toMatchObject({ code: 0 });
  expect(second.stderr).toMatch(/^Goes on {4}after step 1[3-9] \(step-00001\d\)$/m);
  expect(second.stderr).not.toContain('bit for bit');
  const [all, halves] = [json(`${signal}-whole.json`), json(`${signal}-halves.json`)];
  expect(all.losses).toHaveLength(30);
  expect(halves.losses).toEqual(all.losses);
  expect(halves.evaluations).toEqual(all.evaluations);
  expect(halves.evaluations.map(({ step }: { step: number }) => step)).toEqual([7, 14, 21, 28, 30]);

  // The log goes on too; every loss is in it.
  const events = readEvents(log);
  const steps = events.filter(({ event }) => event === 'step');
  expect(steps.map(({ loss }) => loss)).toEqual(all.losses);
  expect(events.map(({ event }) => event)).toContain('resume');
});

test('without --save an interrupted run is saved in a folder of its own', async () => {
  for (const name of ['frugal-run', 'frugal-run-2']) {
    const { code, stdout } = await interrupted('SIGINT', 3, `${name}.jsonl`, ['--steps', '100000']);
    expect(code).toBe(130);
    expect(stdout).toMatch(
      new RegExp(`^Saved in ${name}/step-0000\\d\\d\\. To go on:\\n  frugal train --resume ${name} `, 'm'),
    );
  }
});

test('two of those that end together, as their terminal is closed, are saved in a folder each', async () => {
  const saved = await Promise.all(
    ['left', 'right'].map(async name => {
      const { code, stdout } = await interrupted('SIGHUP', 20, `${name}.jsonl`, ['--steps', '100000']);
      expect(code).toBe(129);
      return /^Saved in (frugal-run[-\d]*)\//m.exec(stdout)?.[1];
    }),
  );
  expect(new Set(saved).size).toBe(2);
  for (const name of saved) expect(readdirSync(at(name!))).toHaveLength(1);
});

test('--resume auto starts, goes on, and says when all is done', async () => {
  const auto = ['--save', 'auto', '--save-every', '2', '--resume', 'auto', '--steps'];
  const fresh = await train(...auto, '6');
  expect(fresh).toMatchObject({ code: 0 });
  expect(fresh.stderr).not.toContain('Goes on');
  expect(fresh.stdout).toContain('Saved in auto/step-000006.');
  const again = await train(...auto, '6', '--json', 'again.json');
  expect(again.stderr).toContain('Goes on    after step 6 (step-000006)');
  expect(again.stderr).toMatch(/^Model .* weights, of step-000006$/m);
  expect(again.stdout).toMatch(/^Validation loss .* of optimizer state\.\nSaved in auto\/step-000006\.\n$/);
  expect(json('again.json').losses).toHaveLength(6);
});

describe('more steps than the run had', () => {
  const losses = (name: string): number[] => json(name).losses;

  test('at a constant rate make the run that had them from the start', async () => {
    await train('--steps', '20', '--schedule', 'constant', '--save', 'constant');
    const more = await run('train', '--resume', 'constant', '--steps', '30', '--json', 'more.json');
    expect(more).toMatchObject({ code: 0, stderr: expect.not.stringContaining('in part') });
    expect(more.stdout).toContain('Saved in constant/step-000030.');
    // The warm-up is what it was, a tenth of 20.
    await train('--steps', '30', '--schedule', 'constant', '--warmup', '2', '--json', 'at-once.json', '--no-save');
    expect(losses('more.json')).toHaveLength(30);
    expect(losses('more.json')).toEqual(losses('at-once.json'));
    // And again, from the steps that a run was continued to.
    const again = await run('train', '--resume', 'constant', '--steps', '33');
    expect(again).toMatchObject({ code: 0 });
    expect(json('constant/step-000033/trainer.json').settings).toMatchObject({ steps: 33, warmup: 2 });
  });

  test('the warm-up begins where it did, and elsewhere only if that is asked for', async () => {
    const above = ['--schedule', 'constant', '--warmup', '4', '--warmup-start', 'step', '--eval-every', '100'];
    await train(...above, '--steps', '6', '--save', 'above');
    const rates = (name: string): number[] =>
      readFileSync(at(name), 'utf8')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
        .filter(({ event }) => event === 'step')
        .map(({ learningRate }) => learningRate / 1e-3);
    const more = await run('train', '--resume', 'above', '--steps', '8', '--json', 'more.json', '--no-save');
    expect(more).toMatchObject({ code: 0, stderr: expect.not.stringContaining('in part') });
    await train(...above, '--steps', '8', '--json', 'at-once.json', '--log', 'above.jsonl', '--no-save');
    expect(rates('above.jsonl')).toEqual([0.25, 0.5, 0.75, 1, 1, 1, 1, 1]);
    expect(losses('more.json')).toEqual(losses('at-once.json'));
    expect(json('above/step-000006/trainer.json').settings).toMatchObject({ warmupStart: 'step' });
    const changed = ['--resume', 'above', '--steps', '8', '--warmup-start', 'zero'];
    const refused = await run('train', ...changed);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/would have been another one from step 1 on, and 6 steps are made\.$/m);
    // Who names the rate is not told to name another one.
    expect(refused.stderr).not.toContain('--schedule constant');
  });

  test('at a stable rate, too, from a checkpoint before the fall', async () => {
    const stable = ['--schedule', 'stable', '--warmup', '2', '--eval-every', '100'];
    await train(...stable, '--steps', '20', '--save', 'stable', '--save-every', '15', '--keep-last', '9');
    const resumed = ['--resume', 'stable/step-000015', '--steps', '30', '--save', 'stable-more', '--json', 'more.json'];
    expect(await run('train', ...resumed)).toMatchObject({ code: 0 });
    await train(...stable, '--steps', '30', '--json', 'at-once.json', '--no-save');
    expect(losses('more.json')).toEqual(losses('at-once.json'));
    const refused = await run('train', '--resume', 'stable', '--steps', '30', '--no-save');
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toMatch(/would have been another one from step 18 on, and 20 steps are made\.$/m);
  });

  test('at a rate that was fitted to fewer steps are an error that says what to type', async () => {
    await train('--steps', '20', '--lr', '0.01', '--save', 'cosine');
    const refused = await run('train', '--resume', 'cosine', '--steps', '30');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr.slice(refused.stderr.indexOf('frugal: ')).split('\n')).toEqual([
      expect.stringMatching(/^frugal: step-000020: expected .* it was saved from, found 2 differences\. /),
      '  learningRate.options.total: saved 20, now 30',
      '  learningRate.options.cycle: saved 20, now 30',
      'With these options the learning rate would have been another one from step 4 on, and 20 steps are made.',
      'To go on all the same, add to the command',
      '  --resume-partial',
      // 0.01 (0.1 + 0.45 (1 + cos(π 18/28))), and one update before the end 0.01 (0.1 + 0.45 (1 + cos(π 17/18))).
      '    for the rate of a run of 30 steps from here on: 0.00355 at step 21, after 0.00107',
      '  --resume-partial --schedule constant --lr 0.00107',
      '    for the rate that it has come to',
      '',
    ]);
    for (const options of [[], ['--schedule', 'constant', '--lr', '0.00107']]) {
      const into = ['--save', `cosine-${options.length}`, '--log', `cosine-${options.length}.jsonl`];
      const words = ['train', '--resume', 'cosine', '--steps', '30', '--resume-partial', ...options, ...into];
      const { code, stderr } = await run(...words);
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/the optimizer state of 39, and the step$/m);
      const events = readFileSync(at(`cosine-${options.length}.jsonl`), 'utf8')
        .trim()
        .split('\n');
      const steps = events.map(line => JSON.parse(line)).filter(({ event }) => event === 'step');
      expect(steps.map(({ step }) => step)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
      expect(steps[0].learningRate).toBeCloseTo(options.length === 0 ? 0.00355 : 0.00107, 5);
    }
  });

  test('fewer than were made are refused', async () => {
    await train('--steps', '6', '--schedule', 'constant', '--save', 'six');
    const { code, stderr } = await run('train', '--resume', 'six', '--steps', '4');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^frugal: train\.steps: expected at least 6, which step-000006 has made, found 4\.$/m);
  });
});

test('the optimizer named again, as earlier versions spelled it, is the same with all its options', async () => {
  const constant = ['--steps', '4', '--schedule', 'constant'];
  await train(...constant, '--optimizer', 'frugal-randk', '--save', 'spelled');
  const resumed = ['--resume', 'spelled', '--optimizer', 'frugal-randK', '--steps', '6', '--json', 'spelled.json'];
  const { code, stderr } = await run('train', ...resumed);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('Optimizer  frugal-randK, ') });
  expect(json('spelled.json').options).toMatchObject({ density: 0.5, updateGap: 4 });
});

describe('a run that is not the same any more', () => {
  test('is an error that shows the differences, or goes on with what fits and says what that is', async () => {
    await train('--steps', '6', '--save', 'changed');
    const refused = await run('train', '--resume', 'changed', '--optimizer', 'adamW', '--steps', '8', '--batch', '5');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^frugal: step-000006: expected the model and composition it was saved from/m);
    expect(refused.stderr).toMatch(/^ {2}learningRate\.options\.total: saved 6, now 8$/m);
    expect(refused.stderr).toMatch(/^ {2}groups\[0\]\.use\.kind: saved "subspace", now "adamW"$/m);
    expect(refused.stderr).toContain('With --resume-partial it goes on with what fits');
    expect(readdirSync(at('changed'))).toEqual(['step-000006']);

    const partial = await run(
      ...['train', '--resume', 'changed', '--optimizer', 'adamW', '--steps', '8', '--batch', '5', '--resume-partial'],
    );
    expect(partial).toMatchObject({ code: 0 });
    expect(partial.stderr).toMatch(/^step-000006 fits in part:$/m);
    expect(partial.stderr).toMatch(/^ {2}batch: saved 4, now 5$/m);
    expect(partial.stderr).toMatch(
      /^ {2}kept: the weights of 39 parameters, the optimizer state of 11, and the step$/m,
    );
    expect(partial.stderr).toMatch(/^ {2}not kept: the optimizer state of .* and 27 others: trained by subspace\(/m);
    expect(partial.stdout).toContain('Saved in changed/step-000008.');
  });

  test('on another backend it goes on with one clear warning', async () => {
    await train('--steps', '4', '--save', 'elsewhere');
    const { code, stderr } = await run('train', '--resume', 'elsewhere', '--backend', 'cpu');
    expect(code).toBe(0);
    const warnings = stderr.split('\n').filter(line => line.includes('bit for bit'));
    expect(warnings).toEqual([
      expect.stringMatching(/^step-000004 was saved on wasm \(kernels: .*\) and goes on on cpu \(kernels: .*\): /),
    ]);
  });

  test('with another text the data is a difference', async () => {
    await train('--steps', '2', '--save', 'text');
    writeFileSync(at('other.txt'), readFileSync(at('lines.txt'), 'utf8').replaceAll('river', 'brook'));
    const { code, stderr } = await run('train', '--resume', 'text', '--data', 'other.txt');
    expect(code).toBe(1);
    expect(stderr).toMatch(/found 1 difference\..*\n {2}text: saved "[0-9a-f]{8}", now "[0-9a-f]{8}"$/m);
  });
});

test('mistakes about checkpoints are told in one line, before any training', async () => {
  await train('--steps', '2', '--save', 'taken');
  mkdirSync(at('model'));
  writeFileSync(at('model/config.json'), '{}');
  const mistakes: [args: string[], message: RegExp][] = [
    [['--save', 'taken'], /^frugal: save: .*found taken with 1 checkpoint of another run\. Go on with that run/],
    [
      ['--resume', 'nowhere'],
      /^frugal: nowhere: expected a checkpoint, or a folder of checkpoints, found nothing there\./,
    ],
    [['--resume', '.'], /^frugal: resume: expected at least one, found no checkpoint in \.\.\n$/],
    [
      ['--resume', 'model'],
      /^frugal: resume: .*no checkpoint in model\. To start from the weights .* use --weights\.\n$/,
    ],
    [['--resume', 'lines.txt'], /^frugal: lines\.txt: .*folder of checkpoints, found a file\.\n$/],
    [
      ['--resume', 'taken/step-000002/model.safetensors'],
      /^frugal: .*, found a file\. The checkpoint is its folder, taken\/step-000002\.\n$/,
    ],
    [['--resume', 'auto'], /^frugal: resume: expected a folder to look in, found auto without --save\./],
    [
      ['--rollback'],
      /^frugal: rollback: expected checkpoints to go back to, found no folder of checkpoints\. Give --save/,
    ],
    [['--save', 'lines.txt'], /^frugal: .*lines\.txt: .*a file in the place of a folder/],
  ];
  for (const [args, message] of mistakes) {
    const { code, stdout, stderr } = await run('train', ...flags, ...args);
    expect(stderr, args.join(' ')).toMatch(message);
    expect(stderr.trimEnd().split('\n'), args.join(' ')).toHaveLength(1);
    expect({ code, stdout }, args.join(' ')).toEqual({ code: 1, stdout: '' });
  }
});

test('altered checkpoints are passed over; if none is left, or the format is another one, that is an error', async () => {
  await train('--steps', '6', '--save', 'altered', '--save-every', '1');
  const names = readdirSync(at('altered')).sort();
  truncateSync(at(`altered/${names.at(-1)}/optimizer.safetensors`), 1000);
  const first = await run('train', '--resume', 'altered');
  expect(first.code).toBe(0);
  expect(first.stderr).toMatch(
    /^step-000006 is passed over: .*optimizer\.safetensors: expected \d+, found 1000 bytes/m,
  );
  expect(first.stderr).toMatch(/^Goes on {4}after step [1-5] /m);

  for (const name of readdirSync(at('altered'))) truncateSync(at(`altered/${name}/model.safetensors`), 99);
  const second = await run('train', '--save', 'altered', '--resume', 'auto');
  expect(second.code).toBe(1);
  expect(second.stderr).toMatch(
    /^frugal: .*altered: expected an intact one, found \d checkpoints?, none of which can be read\./m,
  );

  await train('--steps', '2', '--save', 'future');
  const manifest = at('future/step-000002/checkpoint.json');
  const { crc32 } = await import('node:zlib');
  const body = { ...JSON.parse(readFileSync(manifest, 'utf8')).manifest, version: 2 };
  const seal = crc32(JSON.stringify(body)).toString(16).padStart(8, '0');
  writeFileSync(manifest, JSON.stringify({ crc32: seal, manifest: body }));
  const third = await run('train', '--resume', 'future/step-000002');
  expect(third.code).toBe(1);
  expect(third.stderr).toMatch(/^frugal: .*version: expected 1, found 2\. Use the version of @frugaljs\/checkpoint/);
});

describe('a disk', () => {
  test('that is full is told of, and nothing that was saved is lost', async context => {
    const disk = smallDisk('700k');
    if ('reason' in disk) return skip(context, disk.reason);
    const into = join(disk.folder, 'run');
    const { code, stdout, stderr } = await train(
      '--steps',
      '60',
      '--save',
      into,
      '--save-every',
      '5',
      '--keep-last',
      '9',
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/^$/);
    expect(stderr).toMatch(
      /^A checkpoint could not be written: .*: expected room for a checkpoint, found a full disk \(ENOSPC\)\. Free/m,
    );
    expect(stderr).toMatch(/^frugal: .*found a full disk/m);
    expect(stderr).toMatch(
      /^The last checkpoint is that of step \d+\. To go on from it:\n {2}.*frugal train --resume \S+$/m,
    );
    // With fewer to keep there is room, and the run ends as if nothing had happened.
    const again = await run('train', '--resume', into, '--keep-last', '1', '--json', 'after.json');
    expect(again.stdout).toMatch(/^Saved in .*step-000060\.$/m);
    const whole = await train('--steps', '60', '--json', 'whole.json', '--no-save');
    expect([again.code, whole.code]).toEqual([0, 0]);
    expect(json('after.json').losses).toEqual(json('whole.json').losses);
  });

  test('that is read-only is found out before training, and can be resumed from without saving', async context => {
    const disk = smallDisk('4m');
    if ('reason' in disk) return skip(context, disk.reason);
    await train('--steps', '4', '--save', join(disk.folder, 'run'));
    makeReadOnly(disk.folder);
    const refused = await run('train', '--resume', join(disk.folder, 'run'));
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^frugal: .*run: expected a folder that can be written, found a read-only file system \(EROFS\)\. Save elsewhere\.\n$/,
    );
    const evaluated = await run('train', '--resume', join(disk.folder, 'run'), '--no-save');
    expect(evaluated).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Validation loss/) });
  });
});

function skip(context: { skip(): void }, reason: string): void {
  console.log(`Skipped: ${reason}`);
  context.skip();
}
