import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import {
  type Graph,
  interpret,
  kernelsFor,
  randomKey,
  randomNormals,
  type Shape,
  sizeOf,
  slotShape,
  Tracer,
} from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bounded } from '../../core/test/support/bounded.js';
import { entriesOf, evaluateProgram } from '../../core/test/support/evaluate-program.js';
import { graphOf, type Instruction, inputsOf, programArbitrary, scalarsOf } from '../../core/test/support/program.js';

/** Numbers of the host reach a kernel as float32, where one that is not 0 in float64 may be 0: another condition. */
function choosesOnHost({ nodes }: Graph): boolean {
  return nodes.some(node => node.op === 'select' && nodes[node.condition]!.extent === 'host');
}

/** Programs that kernels take more often: without exp and log, and many with no reductions but those to a block. */
const programs = fc.record({ program: programArbitrary, onlyBlocks: fc.boolean() }).map(({ program, onlyBlocks }) => {
  const instructions = program.instructions.map((line): Instruction => {
    if (line.kind === 'unary' && (line.op === 'exp' || line.op === 'log')) return { ...line, op: 'square' };
    return line.kind === 'reduce' && onlyBlocks ? { ...line, per: 'block' } : line;
  });
  return { ...program, instructions };
});

function agrees(actual: number, { value, error }: Bounded): boolean {
  if (error === Number.POSITIVE_INFINITY || actual === value) return true;
  if (Number.isNaN(value)) return Number.isNaN(actual);
  return Math.abs(actual - value) <= error;
}

// Most of what is drawn has a value per row, column or tensor, which the tiles for cpu refuse.
test.each([
  ['wasm', 200],
  ['cpu', 3],
])('random expressions agree with float64 arithmetic, on %s', async (backend, enough) => {
  await tf.setBackend(backend);
  const kernels = kernelsFor(backend)!;
  let compared = 0;
  let withBlocks = 0;
  fc.assert(
    fc.property(programs, fc.nat(), (program, widening) => {
      const { graph, first, names, extents } = graphOf(program, widening);
      if (kernels.refusal(graph) !== null || choosesOnHost(graph)) return;
      const expected = evaluateProgram(program);
      const inputs = inputsOf(program);
      const tensors = Object.values(inputs).filter(input => typeof input !== 'number');
      const before = tensors.map(tensor => tensor.dataSync().slice());
      const count = tf.memory().numTensors;
      const results = kernels.run(graph, inputs, scalarsOf(program), program.shape, {});
      expect(tf.memory().numTensors - count).toBe(names.length);
      if (graph.nodes.some(({ op, extent }) => op === 'reduce' && extent.startsWith('block'))) withBlocks++;
      for (const [i, name] of names.entries()) {
        const extent = extents[name]!;
        expect(results[name]!.shape).toEqual(slotShape(extent, program.shape));
        const actual = results[name]!.dataSync();
        entriesOf(expected[first + i]!, extent, program.shape).forEach((entry, index) => {
          compared++;
          if (agrees(actual[index]!, entry)) return;
          throw new Error(`${name}[${index}] is ${actual[index]}, expected ${entry.value} ± ${entry.error}`);
        });
      }
      for (const [i, tensor] of tensors.entries()) expect(tensor.dataSync()).toEqual(before[i]);
      tf.dispose([Object.values(results), tensors]);
    }),
    { seed: 20240607, numRuns: 2000 },
  );
  expect(compared).toBeGreaterThan(10 * enough);
  expect(withBlocks).toBeGreaterThanOrEqual(enough);
});

/** A step with two means per block, of which one depends on the other. */
function blockStep(n: number): Graph {
  const block = { block: n };
  const tracer = new Tracer();
  const [w, g] = [tracer.input('w', 'element'), tracer.input('g', 'element')];
  const m = tracer.input('m', block);
  const next = m.mul(0.9).add(g.mean(block).mul(0.1));
  const rest = g.sub(next);
  const spread = rest.square().mean(block).sqrt();
  const outputs = { w: w.sub(rest.div(spread.add(tracer.scalar('eps')))), m: next, largest: rest.abs().max(block) };
  return tracer.graph(outputs, { w: 'element', m: block, largest: block });
}

// Long enough to be walked through at several places, and short enough to be a part of a vector.
const SHAPES: readonly Shape[] = [[1, 1], [5], [3, 7], [2, 3, 8], [9, 64], [70, 257], [130, 1024], [3, 8192]];

test.each(['wasm', 'cpu'])('a step with blocks in place is that of the interpreter, on %s', async backend => {
  await tf.setBackend(backend);
  const kernels = kernelsFor(backend)!;
  for (const n of [2, 3, 4, 8, 16, 32, 64, 100]) {
    const graph = blockStep(n);
    expect(kernels.refusal(graph)).toBe(null);
    for (const shape of SHAPES) {
      const inputs = Object.fromEntries(
        (['element', 'element', `block ${n}`] as const).map((extent, i) => {
          const stored = [...slotShape(extent, shape)];
          return ['wgm'[i]!, tf.tensor(randomNormals(randomKey(7, i), sizeOf(stored)), stored)];
        }),
      );
      const expected = interpret(graph, inputs, { eps: 0.5 }, shape);
      const wanted = Object.fromEntries(
        Object.entries(expected).map(([name, tensor]) => [name, tensor.dataSync().slice()]),
      );
      const found = kernels.run(graph, inputs, { eps: 0.5 }, shape, { w: 'w', m: 'm' });
      expect([found['w'], found['m']]).toEqual([inputs['w'], inputs['m']]);
      for (const [name, values] of Object.entries(wanted)) {
        const entries = found[name]!.dataSync();
        const worst = values.findIndex((value, i) => !(Math.abs(value - entries[i]!) <= 2e-6 * (1 + Math.abs(value))));
        if (worst < 0) continue;
        throw new Error(
          `blocks of ${n} in [${shape}]: ${name}[${worst}] is ${entries[worst]}, expected ${values[worst]}`,
        );
      }
      tf.dispose([inputs, expected, found]);
    }
  }
});
