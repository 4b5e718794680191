import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import '@frugaljs/backend-wasm';
import { compose, drop, residual, subspace } from '@frugaljs/composer';
import { blockwise, randK, svd } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import {
  dispose,
  engine,
  fill,
  memory,
  ones,
  type Scalar,
  setBackend,
  square,
  sum,
  tensor1d,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it } from 'vitest';

// What a long life brings: failures in the middle of a call, thousands of optimizers, losses that throw.

beforeEach(() => setBackend('cpu'));

let variables: Record<string, Variable> = {};

/** Variables of ones. */
function begin(...names: readonly string[]): typeof variables {
  variables = Object.fromEntries(
    names.map(name => {
      const start = ones([4, 3]);
      const made = variable(start, true, name);
      start.dispose();
      return [name, made];
    }),
  );
  return variables;
}

afterEach(() => {
  dispose(variables);
  variables = {};
});

/** Gradients of one value for all variables. */
function gradients(value: number) {
  return Object.fromEntries(Object.keys(variables).map(name => [name, fill([4, 3], value)]));
}

function weights(): number[][] {
  return Object.values(variables).map(each => Array.from(each.dataSync()));
}

/** Runs something while the nth call of a kernel of tfjs fails. */
function failing(kernel: string, nth: number, run: () => void): void {
  const runner = engine() as unknown as { runKernel: (name: string, ...rest: unknown[]) => unknown };
  const original = runner.runKernel;
  let calls = 0;
  runner.runKernel = function (name, ...rest) {
    if (name === kernel && ++calls === nth) throw new Error('no room');
    return original.call(this, name, ...rest);
  };
  try {
    run();
  } finally {
    runner.runKernel = original;
  }
}

it('an update of which one variable is refused changes none', () => {
  begin('a', 'b', 'c');
  const fussy = svd({ density: 0.5 });
  const fit: typeof fussy.fit = (...args) => {
    if (args[2].site.name === 'c') throw new Error('no basis for this gradient');
    return fussy.fit(...args);
  };
  const use = subspace({ projector: { ...fussy, fit }, rule: adamW(), combine: residual(signSgd()) });
  const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
  const before = weights();
  expect(() => optimizer.applyGradients(gradients(1))).toThrow('no basis');
  expect(weights()).toEqual(before);
  expect(optimizer.updates).toBe(0);
  optimizer.dispose();
});

it('an update that fails after a block at rest has decayed says that it is torn', () => {
  begin('a', 'b');
  const use = subspace({
    projector: blockwise({ density: 0.5, order: 'descending' }),
    rule: sgd(),
    combine: drop(),
    refresh: { every: 10 },
  });
  const optimizer = compose({ learningRate: 0.1, groups: [{ use, weightDecay: 0.5 }], kernels: 'reference' });
  const before = weights();
  const first = gradients(1);
  // Two products look for NaN, the third is the decay of the variable at rest.
  failing('Multiply', 4, () => expect(() => optimizer.applyGradients(first)).toThrow('no room'));
  expect(weights()).not.toEqual(before);
  expect(() => optimizer.applyGradients(first)).toThrow('setWeights');
  optimizer.dispose();
});

it('a round of an accumulation that fails is added to no sum, and can be repeated', () => {
  begin('a', 'b');
  const optimizer = compose({ learningRate: 1, groups: [{ use: sgd() }], accumulate: 3, kernels: 'reference' });
  optimizer.applyGradients(gradients(1));
  const second = gradients(1);
  // The first sum looks for NaN.
  failing('Add', 3, () => expect(() => optimizer.applyGradients(second)).toThrow('no room'));
  optimizer.applyGradients(second);
  optimizer.applyGradients(gradients(1));
  expect(weights()).toEqual(Object.values(variables).map(() => Array(12).fill(0)));
  optimizer.dispose();
});

it('a cycle of an accumulation whose update fails is not lost', () => {
  begin('a');
  const optimizer = compose({ learningRate: 1, groups: [{ use: sgd() }], accumulate: 2, kernels: 'reference' });
  optimizer.applyGradients(gradients(1));
  const last = gradients(1);
  // The first sum looks for NaN in the round, the second in the mean.
  failing('Sum', 2, () => expect(() => optimizer.applyGradients(last)).toThrow('no room'));
  optimizer.applyGradients(last);
  expect(weights()).toEqual([Array(12).fill(0)]);
  optimizer.dispose();
});

it('a restore that fails as variables appear is made good before the first update', async () => {
  begin('a', 'b');
  const options = { learningRate: 0.1, groups: [{ use: lion() }], kernels: 'reference' } as const;
  const first = compose(options);
  first.applyGradients(gradients(1));
  const state = (await first.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
  first.dispose();
  const second = compose(options);
  await second.setWeights(state);
  const next = gradients(0);
  failing('Identity', 2, () => expect(() => second.applyGradients(next)).toThrow('no room'));
  const before = weights();
  second.applyGradients(next);
  // Momentum moves the weights although the gradient is 0.
  expect(weights()).not.toEqual(before);
  second.dispose();
});

it('a refresh that fails as it carries the state over leaves no tensors behind', () => {
  begin('a');
  const use = subspace({
    projector: randK({ density: 0.5 }),
    rule: adamW(),
    combine: residual(signSgd()),
    refresh: { every: 2 },
    onRefresh: 'transport',
  });
  const optimizer = compose({ learningRate: 0.1, groups: [{ use }], kernels: 'reference' });
  const gradient = gradients(1);
  for (let step = 0; step < 2; step++) optimizer.applyGradients(gradient);
  const before = memory().numTensors;
  failing('ScatterNd', 1, () => expect(() => optimizer.applyGradients(gradient)).toThrow('no room'));
  expect(memory().numTensors).toBe(before);
  optimizer.dispose();
});

it('kernels of optimizers that are gone are forgotten', async () => {
  await setBackend('wasm');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const modules: WeakRef<object>[] = [];
  const Original = WebAssembly.Module;
  WebAssembly.Module = class extends Original {
    constructor(bytes: BufferSource) {
      super(bytes);
      modules.push(new WeakRef(this));
    }
  };
  try {
    const { a } = begin('a');
    for (let i = 0; i < 2000; i++) {
      const optimizer = compose({ learningRate: 0.1, groups: [{ use: adamW({ epsilon: 1e-8 * (i + 1) }) }] });
      const gradient = gradients(1);
      optimizer.applyGradients(gradient);
      dispose(gradient);
      optimizer.dispose();
    }
    expect(a!.isDisposed).toBe(false);
  } finally {
    WebAssembly.Module = Original;
  }
  // References are cleared between two turns of the event loop.
  for (let i = 0; i < 3; i++) {
    await new Promise(resolve => setTimeout(resolve, 10));
    collect();
  }
  expect(modules.length).toBeGreaterThanOrEqual(2000);
  expect(modules.filter(each => each.deref() !== undefined).length).toBeLessThan(600);
});

it('a loss that throws leaves no tensors behind', () => {
  const { a } = begin('a');
  const optimizer = compose({ learningRate: 0.1, groups: [{ use: sgd() }] });
  const before = memory().numTensors;
  const loss = (): Scalar => {
    sum(square(a!));
    tensor1d([1, 2]);
    throw new Error('threw late');
  };
  expect(() => optimizer.minimize(loss)).toThrow('threw late');
  expect(memory().numTensors).toBe(before);
  optimizer.dispose();
});
