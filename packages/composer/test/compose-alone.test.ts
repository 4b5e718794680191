import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import { ones, setBackend, variable, zeros } from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { ComposedOptimizer, compose } from '../src/compose.js';

// This file loads `compose` without what reads JSON, until its last test.

const make = () =>
  compose({ learningRate: 0.5, groups: [{ match: 'w', use: signSgd() }, { use: adamW({ beta1: 0.5 }) }] });

beforeAll(async () => void (await setBackend('cpu')));

test('trains, reports, and writes its composition as JSON', async () => {
  const w = variable(zeros([2, 2]), true, 'w');
  const optimizer = make();
  optimizer.applyGradients({ w: ones([2, 2]) });
  expect(Array.from(w.dataSync())).toEqual([-0.5, -0.5, -0.5, -0.5]);
  expect(optimizer.explain()).toMatchObject([{ parameter: 'w', rule: 'signSgd' }]);
  // What the defaults of adamW are, nobody has said: all options are named.
  expect(optimizer.memoryReport([w, { name: 'v', shape: [3] }])[1]!.rule).toContain('beta1 0.5, beta2 0.999');
  expect(optimizer.getConfig()).toEqual({ composition: expect.stringContaining('signSgd') });
  optimizer.dispose();
  w.dispose();
});

test('cannot be read from JSON, and says what to import', () => {
  const config = make().getConfig();
  expect(() => ComposedOptimizer.fromConfig(ComposedOptimizer as never, config)).toThrow(
    /nothing loaded that reads it.*import '@frugaljs\/composer'/,
  );
});

test('is read from JSON when that is loaded and its parts are registered', async () => {
  const { registerRule } = await import('../src/json.js');
  const optimizer = make();
  const read = () =>
    ComposedOptimizer.fromConfig(ComposedOptimizer as never, optimizer.getConfig()) as ComposedOptimizer;
  expect(read).toThrow(/rule\.kind: expected one of subspace, found signSgd.*`@frugaljs\/composer` registers/);
  registerRule('signSgd', signSgd as () => ReturnType<typeof signSgd>);
  registerRule('adamW', adamW);
  expect(read().toJSON()).toEqual(optimizer.toJSON());
});
