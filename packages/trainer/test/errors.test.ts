import * as core from '@frugaljs/core';
import { expect, test } from 'vitest';
import * as trainer from '../src/index.js';

test('an error is one class, whichever package it is caught with', async () => {
  const webgpu = await import('@frugaljs/backend-webgpu');
  const wasm = await import('@frugaljs/backend-wasm');
  expect(webgpu.DeviceLostError).toBe(core.DeviceLostError);
  expect(trainer.DeviceLostError).toBe(core.DeviceLostError);
  expect(webgpu.UnsupportedBackendError).toBe(core.UnsupportedBackendError);
  expect(wasm.UnsupportedBackendError).toBe(core.UnsupportedBackendError);
  expect(wasm.OutOfMemoryError).toBe(core.OutOfMemoryError);
  expect(trainer.OutOfMemoryError).toBe(core.OutOfMemoryError);
});

test('errors of the trainer carry the one that they explain', () => {
  const complaint = { parameter: 'loss', found: 'NaN', expected: 'a number' };
  const cause = new Error('why');
  expect(new trainer.DivergedError(complaint, cause)).toMatchObject({ code: 'diverged', cause });
  expect(new trainer.OutOfMemoryError('gpu', complaint, cause)).toMatchObject({ code: 'out-of-memory', cause });
});
