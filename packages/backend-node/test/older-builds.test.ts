import { residual, subspace } from '@frugaljs/composer';
import { type Rule, registerKernels } from '@frugaljs/core';
import { columns, randK, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import { engine, tensor } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NativeBinding, type NodeBackend, nodeBackend } from '../src/eager.js';
import { TensorFlowKernels, tensorFlowKernels } from '../src/tensorflow-kernels.js';
import { difference, follow } from './runs.js';
import { missing, useTensorFlow } from './tensorflow.js';

/** The backend as over a TensorFlow without DisableCopyOnRead, as 2.9 is, whose operations lose NaN. */
function older(backend: NodeBackend): NodeBackend {
  const native = backend.binding;
  const type = { name: 'T', type: native.TF_ATTR_TYPE, value: native.TF_FLOAT };
  const executeOp: NativeBinding['executeOp'] = (name, attributes, inputs, outputs) => {
    if (name === 'DisableCopyOnRead') throw new Error(`Op type not registered '${name}'`);
    if (!['Sign', 'ClipByValue', 'FakeQuantWithMinMaxArgs', 'Maximum', 'Minimum'].includes(name))
      return native.executeOp(name, attributes, inputs, outputs);
    const zero = native.createTensor([], native.TF_FLOAT, Float32Array.of(0));
    const cleaned = inputs.map(x => {
      const [lost] = native.executeOp('IsNan', [type], [x], 1);
      return native.executeOp('SelectV2', [type], [lost!.id, zero, x], 1)[0]!.id;
    });
    return native.executeOp(name, attributes, cleaned, outputs);
  };
  const binding = new Proxy({} as NativeBinding, {
    get: (_, name) => (name === 'executeOp' ? executeOp : native[name as keyof NativeBinding]),
  });
  return new Proxy(backend, {
    get: (target, name) => {
      const value: unknown = name === 'binding' ? binding : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const split = (projector: Parameters<typeof subspace>[0]['projector'], rest: Rule): Rule =>
  subspace({ projector, rule: adamW(), combine: residual(rest), refresh: { every: 3 } });

describe.skipIf(missing !== null)('a TensorFlow that copies what was scattered into, and that loses NaN', () => {
  let kernels: TensorFlowKernels;
  beforeAll(async () => {
    await useTensorFlow();
    kernels = new TensorFlowKernels(older(nodeBackend(engine().backend)));
    registerKernels('tensorflow', () => kernels);
  });
  afterAll(() => registerKernels('tensorflow', tensorFlowKernels));

  test.each([
    ['adamW', () => adamW()],
    ['rows', () => split(rows({ density: 0.3 }), lion())],
    ['columns', () => split(columns({ density: 0.3 }), signSgd())],
    ['randK', () => split(randK({ density: 0.3 }), signSgd())],
  ])('%s agrees with the reference', (_, make) => {
    const shapes = [
      [4, 5],
      [300, 257],
    ];
    const options = { weightDecay: 0.1, clip: { value: 0.5 } };
    const fused = follow(make(), shapes, { ...options, kernels: 'auto' });
    expect(fused.kernels[0]).toMatch(/^TensorFlow/);
    expect(difference(fused, follow(make(), shapes, { ...options, kernels: 'reference' }))).toBeLessThan(2e-6);
  });

  test('NaN stays NaN in signs and limits', () => {
    const graph = {
      nodes: [
        { op: 'input', name: 'g', extent: 'element' },
        { op: 'constant', value: 1, extent: 'host' },
        { op: 'minimum', x: 0, y: 1, extent: 'element' },
        { op: 'sign', x: 0, extent: 'element' },
      ],
      outputs: { limited: { node: 2, extent: 'element' }, sign: { node: 3, extent: 'element' } },
    } as const;
    const g = tensor([Number.NaN, 3, -4, 0]);
    const { limited, sign } = kernels.run(graph, { g }, {}, [4], {});
    expect([...limited!.dataSync()]).toEqual([Number.NaN, 1, -4, 0]);
    expect([...sign!.dataSync()]).toEqual([Number.NaN, 1, -1, 0]);
    for (const result of [limited, sign, g]) result!.dispose();
  });
});
