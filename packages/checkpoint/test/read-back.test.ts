import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { type CheckpointDraft, Checkpoints, InvalidCheckpointError, MemoryStore } from '../src/index.js';
import { type Manifest, manifestText } from '../src/manifest.js';
import { FolderStore } from '../src/node/index.js';
import { contentsOf } from './contents.js';
import '@tensorflow/tfjs-backend-cpu';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const model = { w: tf.tensor1d([1, 2]) };

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value };
  return value;
}

describe('what would be refused on reading is refused on saving', () => {
  test.each<[string, object, RegExp]>([
    ['a trainer nested 70 deep', { trainer: nested(70) }, /save\.trainer.*nested more than 64 deep/],
    ['a trainer nested 100,000 deep', { trainer: nested(100_000) }, /save\.trainer.*nested more than 64 deep/],
    ['a configuration nested 65 deep', { config: nested(65) }, /save\.config/],
    ['a configuration nested 70 deep', { config: nested(70) }, /save\.config: .*found brackets more than 64 deep/],
    ['a configuration that is no JSON', { config: { size: 1n } }, /save\.config: expected an object of JSON/],
    ['a configuration that holds itself', { config: circular() }, /save\.config: expected an object of JSON/],
    [
      'a file too large',
      { files: { big: new Uint8Array(2 ** 26 + 1) } },
      /save\.files: big: expected at most 67108864/,
    ],
    ['a file named __proto__', { files: JSON.parse('{"__proto__":"x"}') }, /save\.files: .*found .?__proto__/],
  ])('%s', async (_, part, message) => {
    const store = new MemoryStore();
    const checkpoints = new Checkpoints({ store });
    await expect(checkpoints.save({ step: 1, model, ...part })).rejects.toThrow(message);
    await checkpoints.settled();
    expect(await store.list()).toEqual([]);
  });

  function circular(): object {
    const config: { self?: object } = {};
    config.self = config;
    return config;
  }

  test('and what is just within the limits comes back', async () => {
    const checkpoints = new Checkpoints({ store: new MemoryStore() });
    await checkpoints.save({ step: 1, model, trainer: nested(64), config: nested(64) as object });
    const saved = (await checkpoints.latest())!;
    expect([await saved.trainer(), await saved.config()]).toEqual([nested(64), nested(64)]);
  });
});

test.each(['config.json', 'model.safetensors'])(
  'a draft that %s vanished from does not become a checkpoint, and nothing is removed for it',
  async file => {
    class LosingStore extends FolderStore {
      loses = false;

      override async begin(): Promise<CheckpointDraft> {
        const draft = await super.begin();
        const create = async (name: string) => {
          const lease = `${this.location}/.lease/${readdirSync(`${this.location}/.lease`)[0]}`;
          const hidden = readdirSync(lease).find(each => each.startsWith('.'));
          if (name === 'checkpoint.json' && this.loses) rmSync(`${lease}/${hidden}/${file}`);
          return draft.create(name);
        };
        return { ...draft, create };
      }
    }
    const store = new LosingStore(temporaryFolder());
    const checkpoints = new Checkpoints({ store, keepLast: 1, keepBest: 0 });
    await (await checkpoints.save({ step: 1, model, config: {} }))!.done;
    store.loses = true;
    const saving = (await checkpoints.save({ step: 2, model, config: {} }))!;
    await expect(saving.done).rejects.toThrow(InvalidCheckpointError);
    await expect(checkpoints.settled()).rejects.toThrow(`the draft of step-000002/${file}: expected what was just`);
    expect(contentsOf(store.location)).toEqual(['step-000001']);
  },
);

/** Writes a copy of a checkpoint whose manifest says something else, with a seal that fits. */
function forge(folder: string, from: string, to: string, change: Partial<Manifest>): void {
  cpSync(`${folder}/${from}`, `${folder}/${to}`, { recursive: true });
  const path = `${folder}/${to}/checkpoint.json`;
  const { manifest } = JSON.parse(readFileSync(path, 'utf8')) as { manifest: Manifest };
  writeFileSync(path, manifestText({ ...manifest, ...change }));
}

test('a sequence that cannot be counted on is passed over, and later saves are read', async () => {
  const folder = temporaryFolder();
  const warnings: string[] = [];
  const options = { store: new FolderStore(folder), keepLast: 1, keepBest: 0 };
  await (await new Checkpoints(options).save({ step: 1, model }))!.done;
  forge(folder, 'step-000001', 'forged', { sequence: Number.MAX_SAFE_INTEGER });
  const checkpoints = new Checkpoints({ ...options, onWarning: line => warnings.push(line) });
  for (const step of [2, 3]) await (await checkpoints.save({ step, model }))!.done;
  expect((await checkpoints.latest())!.step).toBe(3);
  expect(warnings).toEqual([expect.stringMatching(/^forged is passed over: .*sequence: expected at most/)]);
  expect(contentsOf(folder)).toEqual(['forged', 'step-000003']);
});

test('where no save can be counted any more, none is written and none is removed', async () => {
  const folder = temporaryFolder();
  const options = { store: new FolderStore(folder), keepLast: 1, keepBest: 0 };
  await (await new Checkpoints(options).save({ step: 1, model }))!.done;
  forge(folder, 'step-000001', 'last', { sequence: 2 ** 48 });
  const checkpoints = new Checkpoints(options);
  await expect((await checkpoints.save({ step: 2, model }))!.done).rejects.toThrow(/sequence of the next save/);
  expect(contentsOf(folder)).toEqual(['last', 'step-000001']);
});

test('the only checkpoint that can be read is never removed', async () => {
  const folder = temporaryFolder();
  const store = new FolderStore(folder);
  const many = new Checkpoints({ store, keepLast: 10 });
  for (const step of [1, 2, 3, 4]) await many.save({ step, model }, { whileBusy: 'wait' });
  await many.settled();
  for (const step of [3, 4]) writeFileSync(`${folder}/step-00000${step}/model.safetensors`, 'altered');
  const warnings: string[] = [];
  const few = new Checkpoints({ store, keepLast: 2, keepBest: 0, onWarning: line => warnings.push(line) });
  await few.thinOut();
  expect(contentsOf(folder)).toEqual(['step-000002', 'step-000003', 'step-000004']);
  expect(warnings).toEqual(['step-000002 is kept: none of those that were to be kept can be read.']);
  for (const step of [5, 6]) await (await few.save({ step, model }))!.done;
  expect(contentsOf(folder)).toEqual(['step-000005', 'step-000006']);
});
