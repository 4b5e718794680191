import { deviceKernels } from '@frugaljs/backend-webgpu';
import { type Extent, type NodeExtent, slotShape, Tracer } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bounded } from '../../core/test/support/bounded.js';
import { entriesOf, evaluateProgram } from '../../core/test/support/evaluate-program.js';
import {
  INPUTS,
  type Program,
  poolEntry,
  programArbitrary,
  scalarsOf,
  trace,
} from '../../core/test/support/program.js';
import { describeOnDevice } from './device.js';

const WIDER: Readonly<Record<NodeExtent, readonly Extent[]>> = {
  host: ['tensor', 'row', 'column', 'element'],
  tensor: ['tensor', 'row', 'column', 'element'],
  row: ['row', 'element'],
  column: ['column', 'element'],
  element: ['element'],
};

function inputsOf(program: Program): Record<string, tf.Tensor | number> {
  return Object.fromEntries(
    Object.entries(INPUTS).map(([name, extent], ordinal) => {
      if (program.filled.includes(name)) return [name, poolEntry(program, ordinal, 0)];
      const shape = [...slotShape(extent, program.shape)];
      const columns = program.shape.at(-1) ?? 1;
      const entries = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
        poolEntry(program, ordinal, extent === 'row' || extent === 'element' ? i : i % columns),
      );
      return [name, tf.tensor(entries, shape, 'float32')];
    }),
  );
}

/** WGSL allows quotients, roots and exponentials a few more units in the last place than the bounds of IEEE arithmetic. */
const SLACK = 16 * 2 ** -23;
/** Below, a device may take numbers for 0, also when it compares them. */
const SUBNORMAL = 2 ** -126;

const programs = programArbitrary.map((program): Program => {
  return { ...program, pool: program.pool.map(x => (Math.abs(x) < SUBNORMAL ? 0 : x)) };
});

function agrees(actual: number, { value, error }: Bounded): boolean {
  if (error === Number.POSITIVE_INFINITY || actual === value) return true;
  if (Number.isNaN(value)) return Number.isNaN(actual);
  return Math.abs(actual - value) <= 16 * error + SLACK * Math.abs(value) + SUBNORMAL;
}

describeOnDevice('random expressions', () => {
  test('agree with float64 arithmetic, leave inputs as they were, and leak nothing', async () => {
    let compared = 0;
    let wrong = 0;
    await fc.assert(
      fc.asyncProperty(programs, fc.nat(), async (program, widening) => {
        const tracer = new Tracer();
        const values = trace(program, tracer);
        const expected = evaluateProgram(program);
        const first = Math.max(0, values.length - 5);
        const names = values.slice(first).map((_, i) => `output${i}`);
        const extents = Object.fromEntries(
          names.map((name, i) => {
            const choices = WIDER[values[first + i]!.extent];
            return [name, choices[(widening + i) % choices.length]!];
          }),
        );
        const graph = tracer.graph(Object.fromEntries(names.map((name, i) => [name, values[first + i]!])), extents);
        const kernels = deviceKernels();
        if (kernels.refusal(graph) !== null) return;
        const inputs = inputsOf(program);
        const tensors = Object.values(inputs).filter(input => typeof input !== 'number');
        const before = await Promise.all(tensors.map(async tensor => (await tensor.data()).slice()));
        const count = tf.memory().numTensors;
        const results = kernels.run(graph, inputs, scalarsOf(program), program.shape, {});
        expect(tf.memory().numTensors - count).toBe(names.length);
        for (const [i, name] of names.entries()) {
          const extent = extents[name]!;
          expect(results[name]!.shape).toEqual(slotShape(extent, program.shape));
          const actual = await results[name]!.data();
          entriesOf(expected[first + i]!, extent, program.shape).forEach((entry, index) => {
            compared++;
            if (agrees(actual[index]!, entry)) return;
            wrong++;
            throw new Error(`${name}[${index}] is ${actual[index]}, expected ${entry.value} ± ${entry.error}`);
          });
        }
        for (const [i, tensor] of tensors.entries()) expect(await tensor.data()).toEqual(before[i]);
        tf.dispose([Object.values(results), tensors]);
        expect(tf.memory().numTensors).toBe(count - tensors.length);
      }),
      { seed: 20240607, numRuns: 60 },
    );
    expect(wrong).toBe(0);
    expect(compared).toBeGreaterThan(200);
  });
});
