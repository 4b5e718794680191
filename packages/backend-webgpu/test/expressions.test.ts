import { deviceKernels } from '@frugaljs/backend-webgpu';
import { slotShape } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bounded } from '../../core/test/support/bounded.js';
import { entriesOf, evaluateProgram } from '../../core/test/support/evaluate-program.js';
import { graphOf, inputsOf, type Program, programArbitrary, scalarsOf } from '../../core/test/support/program.js';
import { describeOnDevice } from './device.js';

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
        const { graph, first, names, extents } = graphOf(program, widening);
        const expected = evaluateProgram(program);
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
      { seed: 20240607, numRuns: 150 },
    );
    expect(wrong).toBe(0);
    expect(compared).toBeGreaterThan(200);
  });
});
