import '@tensorflow/tfjs-backend-cpu';
import { perBackend } from '@frugaljs/core';
import { backend, engine, findBackendFactory, registerBackend, removeBackend, setBackend } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';

test('makes one for each backend, when it is first asked for, and a new one for a backend that started anew', async () => {
  const factory = findBackendFactory('cpu');
  registerBackend('other', factory);
  await setBackend('cpu');
  let made = 0;
  const kernels = perBackend(given => ({ given, number: made++ }));
  expect(made).toBe(0);
  const first = kernels();
  expect(first).toEqual({ given: backend(), number: 0 });
  expect(kernels()).toBe(first);

  await setBackend('other');
  const second = kernels();
  expect(second).toEqual({ given: engine().backend, number: 1 });
  expect(second.given).not.toBe(first.given);
  await setBackend('cpu');
  expect(kernels()).toBe(first);

  removeBackend('other');
  registerBackend('other', factory);
  await setBackend('other');
  expect(kernels().number).toBe(2);
  removeBackend('other');
  await setBackend('cpu');
});
