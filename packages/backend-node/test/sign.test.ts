import { compose } from '@frugaljs/composer';
import { signSgd } from '@frugaljs/state-free';
import { engine, fill, tensor2d, variable } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { Eager, type NativeBinding, type NodeBackend, nodeBackend } from '../src/eager.js';
import { Sign, TensorFlow } from '../src/tensorflow.js';
import { handles, missing, useTensorFlow } from './tensorflow.js';

/** The backend as if its TensorFlow had another version, on processors. */
function as(version: string | undefined, backend: NodeBackend): NodeBackend {
  const { binding } = backend;
  const told = new Proxy({} as NativeBinding, {
    get: (_, name) => (name === 'TF_Version' ? version : binding[name as keyof NativeBinding]),
  });
  return { binding: told, isUsingGpuDevice: false } as NodeBackend;
}

describe.skipIf(missing !== null)('sign', () => {
  beforeAll(useTensorFlow);

  // Normal numbers of all sizes, at vector lengths with and without a rest.
  const magnitudes = [1.1754944e-38, 1e-30, 1e-8, 0.3, 1, 7, 1e19, 3.4028235e38, Number.POSITIVE_INFINITY];
  const values = Float32Array.from([0, Number.NaN, ...magnitudes.flatMap(x => [x, -x]), -0, Number.NaN, 2]);

  test.each([['2.9.1'], ['2.11.0'], ['2.12.0'], ['2.21.0'], ['3.0.0'], [undefined]])(
    'in the way of TensorFlow %s',
    version => {
      const eager = new Eager(as(version, nodeBackend(engine().backend)));
      const { binding } = eager.backend;
      const sign = new Sign(eager);
      const x = binding.createTensor([values.length], binding.TF_FLOAT, values.slice());
      eager.delete(sign.of(x).id); // numbers that are kept
      const before = handles();
      const { id } = sign.of(x);
      expect(handles()).toBe(before + 1);
      const found = Array.from(binding.tensorDataSync(id), value => value + 0);
      expect(found).toEqual(Array.from(values, value => Math.sign(value) + 0));
      for (const handle of [id, x]) eager.delete(handle);
    },
  );

  test.each([1e-3, -0.7, 3.9])('times %s, in one operation', factor => {
    const { eager } = new TensorFlow(nodeBackend(engine().backend));
    const { binding } = eager.backend;
    const sign = new Sign(eager);
    const x = binding.createTensor([values.length], binding.TF_FLOAT, values.slice());
    const { value, unit } = sign.inUnits(x, factor)!;
    const product = eager.run('Mul', [value.id, eager.scalar(factor / unit)]);
    const found = Array.from(binding.tensorDataSync(product.id), entry => entry + 0);
    expect(found).toEqual(Array.from(values, entry => Math.sign(entry) * Math.fround(factor) + 0));
    for (const handle of [product.id, value.id, x]) eager.delete(handle);
  });

  test('a number that would be infinite in the unit has none', () => {
    const { eager } = new TensorFlow(nodeBackend(engine().backend));
    expect(new Sign(eager).inUnits(eager.scalar(1), 4)).toBeNull();
    const w = variable(fill([300, 257], 0));
    const g = tensor2d(
      Array.from({ length: 300 * 257 }, (_, i) => ((i % 5) - 2) * 1e-30),
      [300, 257],
    );
    const optimizer = compose({ learningRate: 8, groups: [{ use: signSgd() }] });
    optimizer.applyGradients({ [w.name]: g });
    const signs = Array.from({ length: 300 * 257 }, (_, i) => -8 * Math.sign((i % 5) - 2) + 0);
    expect(Array.from(w.dataSync(), entry => entry + 0)).toEqual(signs);
    optimizer.dispose();
    for (const each of [w, g]) each.dispose();
  });
});
