import { type KernelSet, kernelsFor, type Rule, registerKernels, TornUpdateError, tensorRule } from '@frugaljs/core';
import { rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-backend-cpu';
import { memory, ones, setBackend, type Tensor, variable, zeros } from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { type ComposedOptimizer, compose, residual, subspace } from '../src/index.js';

// An update happens whole or not at all; where that cannot be, the optimizer says that it is torn and does not go on.

beforeAll(async () => void (await setBackend('cpu')));

const use = subspace({ projector: rows({ density: 0.5 }), rule: adamW(), combine: residual(signSgd()) });
const names = ['a', 'b', 'c'];

function begin(rule: Rule = use) {
  const start = zeros([4, 3]);
  const variables = names.map(name => variable(start, true, name));
  start.dispose();
  const optimizer = compose({ learningRate: 0.1, groups: [{ use: rule }] });
  const gradients = Object.fromEntries(names.map(name => [name, ones([4, 3])])) as Record<string, Tensor>;
  const end = (): void => {
    optimizer.dispose();
    for (const each of [...variables, ...Object.values(gradients)]) each.dispose();
  };
  return { variables, optimizer, gradients, weights: () => variables.map(each => Array.from(each.dataSync())), end };
}

const original = kernelsFor('cpu')!;
afterEach(() => registerKernels('cpu', () => original));

/** The kernels of cpu, of which the nth call of a kernel fails before it writes. */
function failingAt(nth: number): void {
  let calls = 0;
  const fail = (): void => {
    if (++calls === nth) throw new Error('the kernel failed');
  };
  const kernels: KernelSet = {
    description: original.description,
    traits: original.traits,
    refusal: (graph, lists) => original.refusal(graph, lists),
    run: (...args) => {
      fail();
      return original.run(...args);
    },
    runSplit: (...args) => {
      fail();
      original.runSplit(...args);
    },
    isFinite: gradient => original.isFinite!(gradient),
    sumSquares: (gradients, clip) => original.sumSquares!(gradients, clip),
    isSole: tensor => original.isSole(tensor),
  };
  registerKernels('cpu', () => kernels);
}

async function restoreInto(optimizer: ComposedOptimizer, saved: Awaited<ReturnType<ComposedOptimizer['getWeights']>>) {
  await optimizer.setWeights(saved.map(({ name, tensor }) => ({ name, tensor })));
}

test('a kernel that fails before anything is written leaves everything as it was', () => {
  failingAt(1);
  const run = begin();
  const before = run.weights();
  expect(() => run.optimizer.applyGradients(run.gradients)).toThrow('the kernel failed');
  expect(run.weights()).toEqual(before);
  expect(run.optimizer.updates).toBe(0);
  run.optimizer.applyGradients(run.gradients);
  expect(run.optimizer.updates).toBe(1);
  run.end();
});

test.each([2, 3])(
  'a kernel that fails at parameter %i tears the update, which the optimizer says until it is restored',
  async nth => {
    const other = begin();
    other.optimizer.applyGradients(other.gradients);
    const saved = (await other.optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
    const weights = other.variables.map(each => each.clone());
    other.end();

    failingAt(names.length + nth);
    const run = begin();
    run.optimizer.applyGradients(run.gradients);
    // The first error is that of the kernel; what it left behind, the next call tells.
    expect(() => run.optimizer.applyGradients(run.gradients)).toThrow(/^the kernel failed$/);
    expect(() => run.optimizer.applyGradients(run.gradients)).toThrow(TornUpdateError);
    const again =
      /optimizer: expected whole updates, found an update that failed at variable "(b|c)".*the kernel failed.*setWeights/;
    expect(() => run.optimizer.applyGradients(run.gradients)).toThrow(again);
    await expect(run.optimizer.getWeights()).rejects.toThrow(again);
    expect(run.optimizer.updates).toBe(1);

    for (const [i, each] of run.variables.entries()) each.assign(weights[i]!);
    await restoreInto(run.optimizer, saved);
    run.optimizer.applyGradients(run.gradients);
    expect(run.optimizer.updates).toBe(2);
    run.end();
    for (const each of [...weights, ...saved.map(({ tensor }) => tensor)]) each.dispose();
  },
);

test('a projector that refuses the gradient of the last parameter leaves its neighbors unstepped', () => {
  const fussy = svd({ density: 0.5 });
  const refusing = {
    ...fussy,
    fit: (...args: Parameters<typeof fussy.fit>) => {
      if (args[2].site.name === 'c') throw new Error('no basis for this gradient');
      return fussy.fit(...args);
    },
  };
  const run = begin(subspace({ projector: refusing, rule: adamW(), combine: residual(signSgd()) }));
  const before = run.weights();
  expect(() => run.optimizer.applyGradients(run.gradients)).toThrow('no basis for this gradient');
  expect(run.weights()).toEqual(before);
  run.optimizer.applyGradients({ a: run.gradients['a']!, b: run.gradients['b']! });
  expect(run.optimizer.updates).toBe(1);
  run.end();
});

test('a rule of tensors that fails for the first parameter is no torn update; for a later one it is', () => {
  const failing = (bad: string) => {
    let calls = 0;
    return tensorRule({
      kind: 'failing',
      options: {},
      state: () => ({}),
      step: ({ g }) => {
        if (names[calls++] === bad) throw new Error('the rule failed');
        return { direction: g };
      },
    });
  };
  const first = begin(failing('a'));
  expect(() => first.optimizer.applyGradients(first.gradients)).toThrow(/^the rule failed$/);
  first.optimizer.applyGradients({ b: first.gradients['b']! });
  expect(first.optimizer.updates).toBe(1);
  first.end();
  const second = begin(failing('b'));
  expect(() => second.optimizer.applyGradients(second.gradients)).toThrow(/^the rule failed$/);
  expect(() => second.optimizer.applyGradients(second.gradients)).toThrow(TornUpdateError);
  second.end();
});

test('what failed leaves no tensors behind', () => {
  const before = memory().numTensors;
  for (const nth of [1, 2, 3]) {
    failingAt(nth);
    const run = begin();
    expect(() => run.optimizer.applyGradients(run.gradients)).toThrow();
    run.end();
  }
  expect(memory().numTensors).toBe(before);
});
