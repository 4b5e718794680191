import '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {
  add,
  dispose,
  engine,
  grads,
  matMul,
  memory,
  mul,
  type Scalar,
  setBackend,
  square,
  sum,
  type Tensor,
  type Tensor2D,
  tensor2d,
  tidy,
  type Variable,
  variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { LlamaForCausalLM } from '../src/model.js';
import { randomKey, randomNormals } from '../src/random.js';
import { recompute } from '../src/recompute.js';
import { TINY } from './tiny-model.js';

const WIDTH = 4;

/** Those of a test, which its end disposes. */
const weights: Variable[] = [];

function matrix(name: string, trainable = true): Variable {
  const values = randomNormals(randomKey(1, name), WIDTH * WIDTH, 0.5);
  const made = tidy(() => variable(tensor2d(values, [WIDTH, WIDTH]), trainable, name));
  weights.push(made);
  return made as Variable;
}

/** A layer with something to keep: the square of its product, added to its input. */
const layer = (x: Tensor2D, weight: Variable): Tensor2D => add(x, square(matMul(x, weight as Tensor2D))) as Tensor2D;

/** The loss, and the values of all gradients by name. */
function gradientsBy(loss: () => Scalar, variables: readonly Variable[]): Record<string, number[] | null> {
  const { value, grads: found } = variableGrads(loss, [...variables]);
  const seen: Record<string, number[] | null> = { loss: [...value.dataSync()] };
  for (const { name } of variables) seen[name] = found[name] == null ? null : [...found[name].dataSync()];
  dispose([value, found]);
  return seen;
}

describe.each(['cpu', 'wasm'])('recompute on %s', backend => {
  let live = 0;
  let x: Tensor2D;
  beforeEach(async () => {
    await setBackend(backend);
    live = memory().numTensors;
    x = tensor2d(randomNormals(randomKey(1, 'x'), 3 * WIDTH, 1), [3, WIDTH]);
  });
  afterEach(() => {
    dispose([x, weights.splice(0)]);
    expect(memory().numTensors).toBe(live);
  });

  it('gives the values and gradients of a chain without it, bit for bit', () => {
    const layers = ['a', 'b', 'c'].map(name => matrix(name));
    const chain = (again: boolean) => () =>
      tidy(() => {
        let states = x;
        for (const weight of layers) {
          const through = (input: Tensor2D): Tensor2D => layer(input, weight);
          states = again ? recompute(through, states, [weight]) : through(states);
        }
        // The last weight also outside of its segment: both gradients count.
        return sum(mul(states, sum(layers[2]!))) as Scalar;
      });
    const plain = gradientsBy(chain(false), layers);
    expect(plain['a']!.some(value => value !== 0)).toBe(true);
    expect(gradientsBy(chain(true), layers)).toEqual(plain);
  });

  it('gives the gradient of its input, also of one segment within another', () => {
    const [a, b] = [matrix('a'), matrix('b')];
    const inner = (input: Tensor2D): Tensor2D => recompute(states => layer(states, a), layer(input, b), [a]);
    const plain = (input: Tensor2D): Tensor2D => layer(layer(input, b), a);
    const gradientOf = (f: (input: Tensor2D) => Tensor): number[] => {
      const [gradient] = grads((input: Tensor) => sum(f(input as Tensor2D)))([x]);
      const values = [...gradient!.dataSync()];
      gradient!.dispose();
      return values;
    };
    expect(gradientOf(input => recompute(inner, input, [a, b]))).toEqual(gradientOf(plain));
  });

  it('gives frozen variables no gradient, and unused ones one of zeros', () => {
    const [used, frozen, unused] = [matrix('used'), matrix('frozen', false), matrix('unused')];
    const f = (input: Tensor2D): Tensor2D => layer(layer(input, used), frozen);
    const { grads: found, value } = variableGrads(() => sum(recompute(f, x, [used, frozen, unused])) as Scalar);
    expect(Object.keys(found).sort()).toEqual(['unused', 'used']);
    expect([...found['unused']!.dataSync()]).toEqual(new Array(WIDTH * WIDTH).fill(0));
    dispose([found, value]);
  });

  it('computes once where nobody asks for gradients', () => {
    let calls = 0;
    const weight = matrix('a');
    const value = recompute(
      input => {
        calls += 1;
        return layer(input, weight);
      },
      x,
      [weight],
    );
    expect(calls).toBe(1);
    value.dispose();
  });
});

describe('what recompute refuses', () => {
  beforeEach(() => setBackend('cpu'));
  afterEach(() => dispose(weights.splice(0)));

  it('is a trainable variable that it was not told of, whose gradient would be lost', () => {
    const [listed, missing] = [matrix('listed'), matrix('missing')];
    const x = tensor2d([[1, 2, 3, 4]]);
    onTestFinished(() => x.dispose());
    const f = (input: Tensor2D): Tensor2D => layer(layer(input, listed), missing);
    const loss = (variables: Variable[]) => () => sum(recompute(f, x, variables)) as Scalar;
    expect(() => variableGrads(loss([listed]), [listed, missing])).toThrow(
      /^variables: expected all trainable variables that f uses: "missing" is one, found .*listed/,
    );
    // The engine is as good as before.
    expect(gradientsBy(loss([listed, missing]), [listed, missing])['missing']).not.toBeNull();
  });

  it('leaves nothing of a segment that fails in the backward pass', () => {
    const weight = matrix('a');
    const x = tensor2d([[1, 2, 3, 4]]);
    onTestFinished(() => x.dispose());
    let calls = 0;
    const f = (input: Tensor2D): Tensor2D => {
      const value = layer(input, weight);
      if (++calls === 2) throw new Error('no memory');
      return value;
    };
    const before = memory().numTensors;
    expect(() => tidy(() => variableGrads(() => sum(recompute(f, x, [weight])) as Scalar))).toThrow('no memory');
    // tfjs leaves what an unfinished pass kept, and the tape that tells: that of the outer pass again.
    const { activeTape } = engine().state as unknown as { activeTape: readonly { saved: Tensor[] }[] };
    for (const { saved } of activeTape) dispose(saved);
    expect(memory().numTensors).toBe(before);
  });
});

describe('a model that computes its layers again', () => {
  const ROWS = [
    [1, 2, 3, 4, 5, 6, 7],
    [10, 9, 8, 7, 6, 5, 4],
  ];

  it.each(['cpu', 'wasm'])('has the same loss and gradients, bit for bit, on %s', async backend => {
    await setBackend(backend);
    const seen = [false, true].map(again => {
      const model = new LlamaForCausalLM(TINY, { seed: 3, recompute: again });
      const variables = Object.values(model.parameters());
      // Position tables are made by the first step, and kept.
      gradientsBy(() => model.loss(ROWS), variables);
      const live = memory().numTensors;
      const found = gradientsBy(() => model.loss(ROWS), variables);
      expect(memory().numTensors).toBe(live);
      model.dispose();
      return found;
    });
    expect(seen[0]!['model.embed_tokens.weight']!.some(value => value !== 0)).toBe(true);
    expect(seen[1]).toEqual(seen[0]);
  });

  it('is asked for with true or false', () => {
    expect(() => new LlamaForCausalLM(TINY, { recompute: 'yes' as never })).toThrow(
      /^recompute: expected true or false, found "yes"/,
    );
  });
});
