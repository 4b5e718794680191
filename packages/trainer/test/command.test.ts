import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { frugal, frugalHere, node, smallRun } from './support/command.js';

const { folder, flags, remove } = smallRun();
afterAll(remove);

const at = (name: string): string => join(folder, name);
const json = (name: string) => JSON.parse(readFileSync(at(name), 'utf8'));
const run = (...args: string[]) => frugal(args, { cwd: folder });

/** Sends a signal (default: Ctrl-C) once, as soon as the command has shown that training goes on. */
function interruptAt(pattern: RegExp, signal: NodeJS.Signals = 'SIGINT') {
  let pressed = false;
  return (child: ChildProcess, stderr: string): void => {
    if (pressed || !pattern.test(stderr)) return;
    pressed = true;
    child.kill(signal);
  };
}

test('compare prints progress and a table, and writes a report and all numbers', async () => {
  const { code, stdout, stderr } = await run('compare', ...flags, '--steps', '8', '--json', 'deep/compare.json');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(/\[1\/5\] AdamW: 1\/8, loss \d\.\d{3}, \d+ s left, [\d,]+ tokens\/s\n/);
  expect(stderr).toMatch(/\[5\/5\] GaLore: validation loss/);
  expect(stderr).not.toContain('\r');
  const rows = stdout.split('\n').filter(line => /^(AdamW|FRUGAL|BAdam|GaLore)/.test(line));
  expect(rows.length).toBe(5);
  for (const row of rows) expect(row).toMatch(/\d\.\d{3} +\d+\.\d+ +[\d.]+ k?B +[\d.]+ +[\d.]+$/);
  expect(stdout.replace(/\s+/g, ' ')).toContain('does not rank them');

  const { runs, settings } = json('deep/compare.json');
  expect(runs.map((each: { optimizer: string }) => each.optimizer)).toEqual([
    'AdamW',
    'FRUGAL ρ=0.25',
    'FRUGAL ρ=0',
    'BAdam',
    'GaLore',
  ]);
  for (const { losses, ...numbers } of runs) {
    for (const name of ['validationLoss', 'perplexity', 'stateBytes', 'msPerOptimizerStep', 'msPerStep']) {
      expect(numbers[name], name).toBeGreaterThan(0);
    }
    expect(losses.length).toBe(8);
  }
  expect(settings).toMatchObject({ steps: 8, seed: 1, backend: 'wasm', data: { name: 'lines.txt' } });

  const report = readFileSync(at('frugal-report.html'), 'utf8');
  expect(report).toContain('FRUGAL ρ=0.25');
  expect(report).not.toMatch(/https?:/);
});

test.each([
  ['SIGINT', 130],
  ['SIGHUP', 129],
  ['SIGTERM', 143],
] as const)(
  '%s ends a comparison after the step under way, with a table and a report of what is done',
  async (signal, exitCode) => {
    const { code, stdout, stderr } = await frugal(
      ['compare', ...flags, '--steps', '100000', '--report', 'stopped.html', '--json', 'stopped.json'],
      { cwd: folder, watch: interruptAt(/AdamW: 1\/100000/, signal) },
    );
    expect(code).toBe(exitCode);
    expect(stderr).toContain('Stopping after this step. Press Ctrl-C again to leave at once.');
    expect(stdout).toMatch(/^AdamW +stopped at step [1-9]/m);
    expect(readFileSync(at('stopped.html'), 'utf8')).toContain('was interrupted');
    const { runs, interrupted } = json('stopped.json');
    expect(interrupted).toBe(true);
    expect(runs).toHaveLength(1);
    expect(runs[0].losses.length).toBe(runs[0].steps);
  },
);

test('a second Ctrl-C leaves at once; two signals of one press count once', async () => {
  const program = fileURLToPath(new URL('support/hold-on.ts', import.meta.url));
  const began = performance.now();
  let stage = 0;
  const { code, stderr } = await node([program], {
    cwd: folder,
    watch: (child, text) => {
      if (stage === 0 && text.includes('ready')) {
        stage = 1;
        child.kill('SIGINT');
      } else if (stage === 1 && text.includes('Stopping')) {
        stage = 2;
        child.kill('SIGINT');
        // Again and again: on a busy machine two signals can arrive as one, or as if of one press.
        const pressing = setInterval(() => child.kill('SIGINT'), 400);
        child.once('exit', () => clearInterval(pressing));
      }
    },
  });
  expect(code).toBe(130);
  expect(stderr.match(/Stopping/g)).toHaveLength(1);
  expect(performance.now() - began).toBeLessThan(20_000);
});

test('train --recompute takes the same steps, and says that it does', async () => {
  const train = (name: string, ...more: string[]) =>
    run('train', ...flags, '--steps', '3', '--sample', '0', '--json', `${name}.json`, ...more);
  const [kept, again] = [await train('kept'), await train('again', '--recompute')];
  expect([kept.code, again.code]).toEqual([0, 0]);
  expect(again.stderr).toMatch(/backend wasm, layers recomputed$/m);
  expect(kept.stderr).not.toContain('recomputed');
  expect(json('again.json').recompute).toBe(true);
  expect(json('again.json').losses).toHaveLength(3);
  expect(json('again.json').losses).toEqual(json('kept.json').losses);
});

test('train refuses a start of the warm-up that there is not, and names those there are', async () => {
  const { code, stderr } = await run('train', ...flags, '--steps', '3', '--warmup-start', 'peak');
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/--warmup-start <where>.*zero, step/) });
});

test('train logs every step, evaluates, samples, and does the same again for the same seed', async () => {
  const args = [...flags, '--steps', '10', '--eval-every', '4', '--optimizer', 'frugal', '--density', '0.5'];
  const more = [
    '--update-gap',
    '3',
    '--projector',
    'columns',
    '--weight-decay',
    '0.1',
    '--clip',
    '1',
    '--accumulate',
    '2',
  ];
  const rest = ['--schedule', 'linear', '--warmup', '2', '--lr', '0.01', '--sample', '2', '--sample-length', '12'];
  const train = (name: string) =>
    run('train', ...args, ...more, ...rest, '--prompt', 'line ', '--json', `${name}.json`, '--log', `${name}.jsonl`);
  const { code, stdout, stderr } = await train('first');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toMatch(/step 4: validation loss \d\.\d{3}/);
  expect(stdout).toMatch(
    /^Validation loss \d\.\d{3} \(perplexity [\d.]+\), [\d.]+ k?B of optimizer state, .* ms per step/,
  );
  expect(stdout).toContain('── sample 2 of 2 ──\nline ');

  const result = json('first.json');
  expect(result.options).toMatchObject({
    density: 0.5,
    projector: 'columns',
    updateGap: 3,
    weightDecay: 0.1,
    clip: { globalNorm: 1 },
    accumulate: 2,
  });
  expect(result.samples).toHaveLength(2);
  expect(result.evaluations.map(({ step }: { step: number }) => step)).toEqual([4, 8, 10]);

  const log = readFileSync(at('first.jsonl'), 'utf8').trimEnd().split('\n');
  const events = log.map(line => JSON.parse(line));
  expect(events.map(({ event }) => event).join(' ')).toBe(
    'settings step step step step evaluation step step step step evaluation step step evaluation end',
  );
  expect(events.filter(({ event }) => event === 'step').map(({ loss }) => loss)).toEqual(result.losses);
  expect(events[1].learningRate).toBe(0);
  expect(events[3].learningRate).toBe(0.01);

  await train('second');
  const { losses, validationLoss, samples } = json('second.json');
  expect({ losses, validationLoss, samples }).toEqual({
    losses: result.losses,
    validationLoss: result.validationLoss,
    samples: result.samples,
  });
});

test('--weights starts from what a checkpoint or transformers saved, with its model and tokenizer', async () => {
  const { code, stderr } = await run(
    'train',
    ...flags,
    '--steps',
    '6',
    '--lr',
    '0.01',
    '--save',
    'base',
    '--json',
    'base.json',
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const data = flags.filter((flag, i) => flag !== '--config' && flags[i - 1] !== '--config');
  const still = ['--steps', '1', '--lr', '0', '--sample', '0'];
  for (const weights of ['base/step-000006', 'base/step-000006/model.safetensors']) {
    const tuned = await run(
      'train',
      ...data,
      ...still,
      '--weights',
      weights,
      '--json',
      'tuned.json',
      '--save',
      weights.replace(/\W/g, ''),
    );
    expect(tuned).toMatchObject({ code: 0 });
    expect(tuned.stderr).toContain(`weights, from ${weights}\n`);
    expect(json('tuned.json').config).toEqual(json('base.json').config);
    expect(json('tuned.json').validationLoss).toBe(json('base.json').validationLoss);
  }

  // A tokenizer that lies beside the weights is used, and handed on with every checkpoint.
  const characters = [...new Set(readFileSync(at('lines.txt'), 'utf8'))].join('').replace(' ', 'Ġ').replace('\n', 'Ċ');
  const tokenizer = JSON.stringify({
    added_tokens: [{ id: characters.length, content: '<|endoftext|>', special: true }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries([...characters].map((each, id) => [each, id])), merges: [] },
  });
  writeFileSync(at('base/step-000006/tokenizer.json'), tokenizer);
  const own = await run(
    'train',
    ...data,
    ...still,
    '--weights',
    'base/step-000006',
    '--json',
    'own.json',
    '--save',
    'own',
  );
  expect(own.code, own.stderr).toBe(0);
  expect(json('own.json').tokenizer).toBe('tokenizer.json');
  expect(readFileSync(at('own/step-000001/tokenizer.json'), 'utf8')).toBe(tokenizer);
});

test('a gradient that is not finite is told of with the options that help', async () => {
  const { code, stderr } = await frugalHere(
    ...['train', ...flags, '--steps', '9', '--lr', '1e30', '--warmup', '0', '--sample', '0'],
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^frugal: gradient of .*\nHere: a smaller --lr, --clip, --non-finite skip, or --rollback with/m,
  );
});

test('Ctrl-C ends a run after the step under way and says how far it came', async () => {
  const { code, stdout, stderr } = await frugal(
    ['train', ...flags, '--steps', '100000', '--backend', 'cpu', '--no-save'],
    { cwd: folder, watch: interruptAt(/frugal: 1\/100000/) },
  );
  expect(code).toBe(130);
  expect(stderr).toContain('Stopping after this step. Press Ctrl-C again to leave at once.');
  expect(stdout).toMatch(/^Stopped after step \d+ of 100000, training loss \d\.\d{3}\.\n$/);
});

test('without a network and a data folder the installed text is used, and one line says so', async () => {
  mkdirSync(at('empty'));
  const env = { FRUGAL_DATA: at('empty'), FRUGAL_CACHE: at('empty') };
  const small = ['--config', 'model.json', '--batch', '4', '--length', '16', '--steps', '2', '--sample', '0'];
  const { code, stderr } = await frugal(['train', ...small, '--offline'], { cwd: folder, env });
  expect(code).toBe(0);
  expect(stderr.split('\n').filter(line => line.startsWith('No text "shakespeare" here'))).toHaveLength(1);
  expect(stderr).toMatch(/^Text +installed-text/m);
});

test('mistakes are told in one line, with exit code 1 and before any training', async () => {
  writeFileSync(at('broken.json'), '{ "hidden_size": ');
  writeFileSync(at('narrow.json'), JSON.stringify({ ...json('model.json'), vocab_size: 100 }));
  writeFileSync(at('brief.txt'), 'x'.repeat(100));
  const mistakes: [args: string[], message: RegExp][] = [
    [
      ['compare', '--optimizers', 'adamax'],
      /^frugal: optimizer: expected one of frugal, .*adamW, .*found adamax\. Did you mean adamW\?\n$/,
    ],
    [
      ['compare', '--optimizers', 'frugal:density=2'],
      /^frugal: .*density: expected a number in \[0, 1\], found 2\.\n$/,
    ],
    [['train', '--optimizer', 'adamW', '--density', '0.5'], /^frugal: adamW\.density: expected one of the options/],
    [['train', '--data', 'nowhere'], /^frugal: data: expected a \.txt or .*shakespeare, wikitext2.*found "nowhere"/],
    [
      ['train', '--backend', 'cuda'],
      /^frugal: backend: expected one of wasm, cpu, webgpu, tensorflow, found cuda\.\n$/,
    ],
    [
      ['train', ...flags, '--config', 'huge'],
      /^frugal: config: expected a JSON file, the folder of a model, or one of llama_nano/,
    ],
    [['train', ...flags, '--config', at('broken.json')], /^frugal: config: expected a file with JSON/],
    [['train', ...flags, '--config', at('narrow.json')], /^frugal: config\.vocab_size: expected at least 257/],
    [['train', '--data', at('lines.txt'), '--weights', at('nowhere')], /^frugal: weights: .*config\.json.*nothing at/],
    [
      ['train', '--data', at('lines.txt'), '--weights', folder],
      /^frugal: weights: .*without a config\.json\. .*--config/,
    ],
    [['train', ...flags, '--weights', folder], /^frugal: .*expected a \.safetensors file, or a folder with/],
    [['train', ...flags, '--length', '65'], /^frugal: length: expected at most max_position_embeddings = 64/],
    [
      ['train', ...flags, '--data', at('brief.txt')],
      /^frugal: length: .*found 16, and a text of 91 tokens to train on and 11 held out\. .*a smaller --length\.\n$/,
    ],
    [
      ['train', ...flags, '--data', '/dev/zero'],
      /^frugal: \/dev\/zero: expected a file that can be read, found "a device"\. Write what comes from it/,
    ],
    [['train', ...flags, '--config', '/dev/zero'], /^frugal: config: .*\/dev\/zero: .*"a device"/],
    [['train', ...flags, '--tokenizer', '/dev/zero'], /^frugal: \/dev\/zero: .*"a device"/],
    [['train', ...flags, '--data', folder], /^frugal: .*: expected a file that can be read, found "a folder"\.\n$/],
    [['train', ...flags, '--set', 'beta'], /^frugal: set: expected option=value/],
    [['compare', ...flags, '--json', folder], /^frugal: json: expected a file that can be written/],
  ];
  for (const [args, message] of mistakes) {
    const { code, stdout, stderr } = await frugalHere(...args);
    expect(stderr, args.join(' ')).toMatch(message);
    expect(stderr, args.join(' ')).not.toMatch(/\n {4}at /);
    expect({ code, stdout }, args.join(' ')).toEqual({ code: 1, stdout: '' });
  }
});

test('a command line that cannot be read has exit code 2', async () => {
  const lines = [
    ['compare', '--steps', '0'],
    ['compare', '--steps', '-3'],
    ['train', '--steps', '1.5'],
    ['train', '--lr', 'fast'],
    ['train', '--density', '1.5'],
    ['train', '--schedule', 'steep'],
    ['train', '--stpes', '3'],
    // As of a variable of the shell that is not set.
    ['train', '--save', ''],
    ['train', '--resume', ' '],
    ['compare', '--json', ''],
    ['memory', '--config', ''],
    ['train', '--seed', '99999999999999999999'],
    ['train', '--steps', '1e-3'],
    ['tarin'],
  ];
  for (const args of lines) {
    const { code, stdout, stderr } = await frugalHere(...args);
    expect(stderr, args.join(' ')).toMatch(/^error: .*\n/);
    expect({ code, stdout }, args.join(' ')).toEqual({ code: 2, stdout: '' });
  }
  expect((await frugalHere('compare', '--steps', '0')).stderr).toContain('Expected an integer of at least 1.');
  expect((await frugalHere('train', '--save', '')).stderr).toContain("argument '' is invalid. Expected some text.");
  expect((await frugalHere('train', '--seed', '1e30')).stderr).toContain('at most 9007199254740991 either way');
  expect((await frugalHere('train', '--stpes', '3')).stderr).toContain('Did you mean --steps?');
});

test('--debug shows where an error comes from', async () => {
  const { code, stderr } = await run('train', '--optimizer', 'adamax', '--debug');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^UnknownNameError: optimizer: .*\n {4}at /);
});

test('help, version and the list of names', async () => {
  const help = await frugalHere('compare', '--help');
  const version = await run('--version');
  const list = await frugalHere('list');
  const names = await frugalHere('list', '--json');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toMatch(/--optimizers <list>/);
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  expect(version).toEqual({ code: 0, stderr: '', stdout: `${manifest.version}\n` });
  expect(list.stdout).toMatch(/^frugal +0\.001$/m);
  expect(list.stdout).toMatch(/^llama_tiny +2 +128 +467,840$/m);
  expect(JSON.parse(names.stdout)).toMatchObject({ backends: ['wasm', 'cpu', 'webgpu', 'tensorflow'] });
});

test('a prompt, a sample, the name of a file and a message cannot command the terminal', async () => {
  const hostile = '\u001b]0;title\u0007';
  const data = at(`lines${hostile}.txt`);
  writeFileSync(data, readFileSync(at('lines.txt')));
  const train = (...args: string[]) => frugalHere('train', ...flags, '--steps', '1', '--no-save', ...args);
  const trained = await train('--data', data, '--prompt', hostile, '--sample-length', '80');
  expect(trained.code).toBe(0);
  expect(trained.stdout).toContain('── sample 1 of 1 ──\n␛]0;title␇');
  expect(trained.stderr).toContain('Text       lines␛]0;title␇.txt (bytes)');
  const refused = await train('--data', `nothing${hostile}`);
  expect(refused.stderr).toContain('␛]0;title␇');
  const unknown = await frugalHere('train', `--${hostile}`);
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('␛]0;title␇') });
  const control = /(?![\n\t])\p{Cc}/u;
  for (const { stdout, stderr } of [trained, refused, unknown]) expect(stdout + stderr).not.toMatch(control);
});

test('a model that is too large is refused before it is built, and the message says what is too large', async () => {
  const config = (name: string, change: object): string => {
    writeFileSync(at(name), JSON.stringify({ ...json('model.json'), ...change }));
    return at(name);
  };
  const run = (command: string, file: string, ...more: string[]) =>
    frugalHere(command, ...flags, '--config', file, '--steps', '1', ...more);
  const deep = config('deep.json', { num_hidden_layers: 1e9 });
  const wide = config('wide.json', { hidden_size: 2 ** 20, intermediate_size: 2 ** 22 });
  for (const command of ['train', 'compare']) {
    const tooDeep = await run(command, deep);
    expect(tooDeep).toMatchObject({ code: 1, stdout: '' });
    expect(tooDeep.stderr).toMatch(
      /^frugal: num_hidden_layers: expected a positive integer of at most 1024, found 1000000000\.$/m,
    );
    for (const [backend, room] of [
      ['wasm', "3.50 GiB (wasm's heap of 4 GiB, less an eighth for gaps)"],
      ['cpu', 'the memory of this machine'],
    ]) {
      const { code, stdout, stderr } = await run(command, wide, '--backend', backend!);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(`frugal: memory of the ${backend} backend: expected a model whose weights fit into `);
      expect(stderr).toContain(room);
      expect(stderr).toMatch(/found weights of [\d.]+ TiB \(.*hidden_size 1048576, intermediate_size 4194304/);
    }
  }
  const memory = await frugalHere('memory', '--config', deep);
  expect(memory.stderr).toMatch(/^frugal: num_hidden_layers: expected a positive integer of at most 1024/);
});
