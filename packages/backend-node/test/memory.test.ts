import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { compose, residual, subspace } from '@frugaljs/composer';
import { columns, randK, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import { dispose, fill, memory, tidy, variable } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeGradients, makeVariables } from './runs.js';
import { handles, missing, useTensorFlow } from './tensorflow.js';

const MIB = 2 ** 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of the process without the arrays of JavaScript that nothing refers to any more. */
function processBytes(): number {
  collectGarbage();
  // The memory of dead arrays is given back beside the program, which only the start of the next collection waits for.
  collectGarbage();
  return process.memoryUsage.rss();
}

/**
 * The smallest growth of the process over several spans. What leaks grows in each of them; the allocator, which asks for
 * tens of MiB at a moment of its choosing and keeps them, in one or two.
 */
async function smallestGrowth(spans: number, span: () => void | Promise<void>): Promise<number> {
  let smallest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < spans; i++) {
    const before = processBytes();
    await span();
    smallest = Math.min(smallest, processBytes() - before);
  }
  return smallest;
}

describe.skipIf(missing !== null)('memory', () => {
  beforeAll(useTensorFlow);

  test('2,000 steps leave handles and the process as large as they were', async () => {
    const split = (projector: ReturnType<typeof rows>): ReturnType<typeof subspace> =>
      subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh: { every: 100 } });
    const shapes = [[64, 96], [128, 128], [64, 64], [32, 48], [256]];
    const start = { handles: handles(), tensors: memory().numTensors };
    const variables = makeVariables(shapes);
    const named = (i: number): RegExp => new RegExp(`w${i}$`);
    const optimizer = compose({
      learningRate: 1e-3,
      groups: [
        { match: named(0), use: split(rows({ density: 0.25 })) },
        { match: named(1), use: lion(), weightDecay: 0.1 },
        { match: named(2), use: split(columns({ density: 0.25 })) },
        { match: named(3), use: split(randK({ density: 0.25 })) },
        { use: adamW() },
      ],
      clip: { globalNorm: 1 },
    });
    const gradients = makeGradients(variables, 0);
    let step = 0;
    const take = (steps: number): void => {
      for (const end = step + steps; step < end; ) {
        // Another number in every step: they would pile up.
        optimizer.learningRate = 1e-3 / ++step;
        optimizer.applyGradients(gradients);
      }
    };
    // Step-dependent numbers and shapes are kept up to a limit, which the first few hundred steps reach.
    take(799);
    const settled = new Set<number>();
    const growth = await smallestGrowth(4, () => {
      for (let i = 0; i < 3; i++) {
        take(100);
        settled.add(handles());
      }
    });
    expect(settled.size).toBe(1);
    // The smallest of the parameters, left behind by each step, would be 1.8 MiB.
    expect(growth).toBeLessThan(MIB);
    optimizer.dispose();
    dispose([variables, gradients]);
    expect(memory().numTensors).toBe(start.tensors);
    // Numbers, shapes and three variables stay for the next step.
    expect(handles() - start.handles).toBeLessThan(350);
  });

  test('dispose() gives the handles and the memory of the state back', async () => {
    const shapes = [
      [512, 512],
      [512, 1024],
    ];
    const round = (): void => {
      const variables = makeVariables(shapes);
      const gradients = makeGradients(variables, 0);
      const optimizer = compose({ learningRate: 1e-3, groups: [{ use: adamW() }] });
      const before = handles();
      const states = 2 * variables.length;
      optimizer.applyGradients(gradients);
      // The values of new variables reach TensorFlow with the first step, as do numbers.
      expect(handles()).toBeGreaterThanOrEqual(before + states);
      const held = handles();
      optimizer.dispose();
      expect(handles()).toBe(held - states);
      dispose([variables, gradients]);
    };
    round();
    round();
    const [tensors, live] = [memory().numTensors, handles()];
    const growth = await smallestGrowth(4, () => {
      for (let i = 0; i < 10; i++) round();
    });
    expect(memory().numTensors).toBe(tensors);
    expect(handles()).toBe(live);
    // Each span makes ten times 6 MiB of state, and 3 MiB of parameters.
    expect(growth).toBeLessThan(8 * MIB);
  });

  test('after a step nothing but its tensors holds the buffers of parameters', async () => {
    const shape = [4096, 4096];
    const round = async (): Promise<void> => {
      // Made by TensorFlow, so that no array of JavaScript is counted.
      const weight = tidy(() => variable(fill(shape, 1), true, 'large'));
      const gradient = fill(shape, 1);
      const optimizer = compose({ learningRate: 1e-3, groups: [{ use: signSgd() }] });
      optimizer.applyGradients({ large: gradient });
      optimizer.dispose();
      dispose([weight, gradient]);
      // The program comes to rest.
      await Promise.resolve();
    };
    await round();
    // A parameter has 64 MiB.
    expect(await smallestGrowth(2, round)).toBeLessThan(16 * MIB);
  });
});
