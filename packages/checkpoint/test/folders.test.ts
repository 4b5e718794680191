import { existsSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { CheckpointStorageError } from '../src/index.js';
import { FolderStore, makeFolder } from '../src/node/index.js';

test('a folder is made with what is missing above it, by several at once too', async () => {
  const folder = temporaryFolder();
  await Promise.all(Array.from({ length: 8 }, () => makeFolder(join(folder, 'a/b/c'))));
  await makeFolder(join(folder, 'a'));
  expect(readdirSync(join(folder, 'a/b'))).toEqual(['c']);
});

test('a file in the place of a folder, and a link to nowhere, are told of', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
  for (const name of ['file', 'file/run', 'link', 'link/run']) {
    const failure: CheckpointStorageError = await new FolderStore(join(folder, name)).prepare().then(
      () => new Error(`${name} was accepted`),
      error => error,
    );
    expect(failure, name).toBeInstanceOf(CheckpointStorageError);
    expect(failure.fault, name).toBe('in-the-way');
  }
  expect(existsSync(join(folder, 'nowhere'))).toBe(false);
});

test('a file system that takes no folders is told of at once', async context => {
  if (process.platform !== 'linux') {
    console.log('Skipped: /proc exists on Linux only');
    return context.skip();
  }
  for (const path of ['/proc/frugal', '/proc/frugal/run']) {
    await expect(new FolderStore(path).prepare()).rejects.toThrow(/^\/proc\/frugal: .*found \/proc, which takes no/);
  }
});
