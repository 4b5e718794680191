import { createRequire } from 'node:module';
import { requireNumber } from '@frugaljs/core';
import '@tensorflow/tfjs-backend-cpu';
import * as tfjs from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import { runModule } from './test-support/node-process.js';

// Two copies of tfjs-core (its `main` is CommonJS, its `module` ESM) would not share tensors, and a package that came
// from dist/ would not be the one under test. Both go wrong silently.
describe('module resolution', () => {
  it('gives tests, packages and tfjs-layers one copy of tfjs-core under vitest', () => {
    const required = createRequire(import.meta.url)('@tensorflow/tfjs-core');
    expect(tfjs.Tensor).toBe(required.Tensor);
    expect(tfjs.engine()).toBe(required.engine());
    const output = layers.dense({ units: 2, inputShape: [3] }).apply(tfjs.ones([1, 3]));
    expect(Object.getPrototypeOf(output)).toBe(tfjs.Tensor.prototype);
  });

  it('takes packages from src/ under vitest', () => {
    let trace = '';
    try {
      requireNumber('density', 2, '(0, 1]');
    } catch (error) {
      trace = String((error as Error).stack);
    }
    expect(trace).toContain('packages/core/src/');
  });

  it('does both under node --conditions=@frugaljs/source --import tsx', async () => {
    const program = `
      import { createRequire } from 'node:module';
      import '@tensorflow/tfjs-backend-cpu';
      import * as tfjs from '@tensorflow/tfjs-core';
      import { layers } from '@tensorflow/tfjs-layers';
      const output = layers.dense({ units: 2, inputShape: [3] }).apply(tfjs.ones([1, 3]));
      console.log(JSON.stringify([
        tfjs.Tensor === createRequire(import.meta.url)('@tensorflow/tfjs-core').Tensor,
        Object.getPrototypeOf(output) === tfjs.Tensor.prototype,
        import.meta.resolve('@frugaljs/core').endsWith('packages/core/src/index.ts'),
      ]));`;
    const stdout = await runModule(program);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toEqual([true, true, true]);
  });
});
