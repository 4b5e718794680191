import { expect, it } from 'vitest';
import { completeLock, missingPlatformPackages, platformOf } from './platform-packages.mjs';

it.each([
  ['@biomejs/cli-linux-x64', { os: ['linux'], cpu: ['x64'], libc: ['glibc'] }],
  ['@nx/nx-linux-arm64-musl', { os: ['linux'], cpu: ['arm64'], libc: ['musl'] }],
  ['@nx/nx-linux-arm-gnueabihf', { os: ['linux'], cpu: ['arm'], libc: ['glibc'] }],
  ['@nx/nx-win32-x64-msvc', { os: ['win32'], cpu: ['x64'] }],
  ['@esbuild/darwin-arm64', { os: ['darwin'], cpu: ['arm64'] }],
  ['chokidar', null],
])('reads the platform in %s', (name, platform) => {
  expect(platformOf(name)).toEqual(platform);
});

it('adds entries that npm can skip by platform, sorted, and then finds nothing missing', () => {
  const lock = {
    packages: {
      'node_modules/tool': { version: '2.0.0', dev: true, optionalDependencies: { 'tool-darwin-arm64': '2.0.0' } },
      'node_modules/zebra': { version: '1.0.0' },
    },
  };
  expect(completeLock(lock)).toEqual(['tool-darwin-arm64']);
  expect(Object.keys(lock.packages)).toEqual([
    'node_modules/tool',
    'node_modules/tool-darwin-arm64',
    'node_modules/zebra',
  ]);
  expect(lock.packages).toHaveProperty(['node_modules/tool-darwin-arm64'], {
    version: '2.0.0',
    cpu: ['arm64'],
    dev: true,
    optional: true,
    os: ['darwin'],
  });
  expect(missingPlatformPackages(lock)).toEqual([]);
});

it('refuses what it cannot know', () => {
  const lock = { packages: { a: { optionalDependencies: { fsevents: '~2.3.2' } } } };
  expect(() => completeLock(lock)).toThrow(/fsevents@~2\.3\.2/);
});
