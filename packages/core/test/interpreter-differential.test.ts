import { inputNames, interpret, slotShape } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import type { Bounded } from './support/bounded.js';
import { entriesOf, evaluateProgram } from './support/evaluate-program.js';
import { graphOf, inputExtents, inputsOf, programArbitrary, scalarsOf } from './support/program.js';

function agrees(actual: number, { value, error }: Bounded): boolean {
  if (error === Number.POSITIVE_INFINITY) return true;
  if (Number.isNaN(value)) return Number.isNaN(actual);
  return actual === value || Math.abs(actual - value) <= error;
}

describe.each(BACKENDS)('interpret agrees with float64 arithmetic on random programs (%s)', backend => {
  useBackend(backend);

  test('values within the error bound of float32, inputs unchanged, nothing leaked', () => {
    let compared = 0;
    let meaningful = 0;
    fc.assert(
      fc.property(programArbitrary, fc.nat(), (program, widening) => {
        const { graph, values, first, names, extents } = graphOf(program, widening);
        const expected = evaluateProgram(program);
        expect(expected.map(value => value.extent)).toEqual(values.map(value => value.extent));

        const inputs = inputsOf(program);
        const tensors = Object.values(inputs).filter(input => typeof input !== 'number');
        const before = tensors.map(tensor => tensor.dataSync().slice());
        const count = tf.memory().numTensors;
        const results = interpret(graph, inputs, scalarsOf(program), program.shape);
        expect(tf.memory().numTensors - count).toBe(names.length);
        expect(tensors.map(tensor => tensor.dataSync())).toEqual(before);

        names.forEach((name, i) => {
          const extent = extents[name]!;
          const result = results[name]!;
          expect(result.shape).toEqual(slotShape(extent, program.shape));
          expect(result.dtype).toBe('float32');
          expect(tensors).not.toContain(result);
          const actual = result.dataSync();
          const entries = entriesOf(expected[first + i]!, extent, program.shape);
          expect(actual.length).toBe(entries.length);
          entries.forEach((entry, index) => {
            compared++;
            if (entry.error <= 1e-4 * Math.abs(entry.value) + 1e-6 || Number.isNaN(entry.value)) {
              if (entry.error !== Number.POSITIVE_INFINITY) meaningful++;
            }
            if (!agrees(actual[index]!, entry)) {
              throw new Error(`${name}[${index}] is ${actual[index]}, expected ${entry.value} ± ${entry.error}`);
            }
          });
        });
        expect(new Set(Object.values(results).map(result => result.id)).size).toBe(names.length);
        tf.dispose([Object.values(results), tensors]);
        expect(tf.memory().numTensors).toBe(count - tensors.length);
        expect(inputNames(graph).every(name => name in inputExtents(program))).toBe(true);
      }),
      { seed: 20240607, numRuns: 1500 },
    );
    // Bounds that allow everything would make the comparison empty.
    expect(meaningful / compared).toBeGreaterThan(0.95);
  });
});
