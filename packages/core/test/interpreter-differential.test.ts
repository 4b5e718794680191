import { type Extent, inputNames, interpret, type NodeExtent, slotShape, Tracer } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Bounded } from './support/bounded.js';
import { entriesOf, evaluateProgram } from './support/evaluate-program.js';
import { INPUTS, type Program, poolEntry, programArbitrary, scalarsOf, trace } from './support/program.js';

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

function agrees(actual: number, { value, error }: Bounded): boolean {
  if (error === Number.POSITIVE_INFINITY) return true;
  if (Number.isNaN(value)) return Number.isNaN(actual);
  return actual === value || Math.abs(actual - value) <= error;
}

describe.each(['cpu', 'wasm'])('interpret agrees with float64 arithmetic on random programs (%s)', backend => {
  beforeAll(async () => {
    await tf.setBackend(backend);
    await tf.ready();
  });

  test('values within the error bound of float32, inputs unchanged, nothing leaked', () => {
    let compared = 0;
    let meaningful = 0;
    fc.assert(
      fc.property(programArbitrary, fc.nat(), (program, widening) => {
        const tracer = new Tracer();
        const values = trace(program, tracer);
        const expected = evaluateProgram(program);
        expect(expected.map(value => value.extent)).toEqual(values.map(value => value.extent));

        const first = Math.max(0, values.length - 5);
        const names = values.slice(first).map((_, i) => `output${i}`);
        const extents = Object.fromEntries(
          names.map((name, i) => {
            const choices = WIDER[values[first + i]!.extent];
            return [name, choices[(widening + i) % choices.length]!];
          }),
        );
        const graph = tracer.graph(Object.fromEntries(names.map((name, i) => [name, values[first + i]!])), extents);

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
        expect(inputNames(graph).every(name => name in INPUTS)).toBe(true);
      }),
      { seed: 20240607, numRuns: 1500 },
    );
    // Bounds that allow everything would make the comparison empty.
    expect(meaningful / compared).toBeGreaterThan(0.95);
  });
});
