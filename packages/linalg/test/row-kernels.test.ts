import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createScriptKernels, createWasmKernels, type RowKernels } from '../src/row-kernels.js';
import { gaussians } from './support/reference.js';

const wasm = createWasmKernels();

type Call = (kernels: RowKernels, n: number, c: readonly number[]) => void;

const LENGTH = 400;
const CALLS: Record<string, Call> = {
  dot4: (k, n) => k.dot4(10, 51, 300, n),
  subtract4: (k, n, c) => k.subtract4(10, 51, 300, n, c[0]!, c[1]!, c[2]!, c[3]!),
  gather4: (k, n, c) => k.gather4(300, 10, 51, n, c[0]!, c[1]!, c[2]!, c[3]!),
  symmetric2: (k, n, c) => k.symmetric2(10, 51, 150, 300, n, c[0]!, c[1]!),
  rankTwo2: (k, n, c) => k.rankTwo2(10, 51, 150, 300, n, c[0]!, c[1]!, c[2]!, c[3]!),
  rotate4: (k, n, c) => k.rotate4(10, 51, n, c[0]!, c[1]!, c[2]!, c[3]!, c[4]!, c[5]!, c[6]!, c[7]!),
};

function run(kernels: RowKernels, call: Call, n: number, seed: number): number[] {
  const next = gaussians(seed);
  const mem = kernels.reserve(LENGTH);
  for (let i = 0; i < LENGTH; i++) mem[i] = next();
  const coefficients = Array.from({ length: 8 }, next);
  call(kernels, n, coefficients);
  return Array.from(kernels.reserve(LENGTH).subarray(0, LENGTH));
}

describe('row kernels', () => {
  it('are available as WebAssembly in this engine', () => {
    expect(wasm).not.toBeNull();
  });

  for (const [name, call] of Object.entries(CALLS)) {
    it(`${name}: WebAssembly and JavaScript agree in every bit, for even and odd lengths`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 50 }), fc.integer(), (n, seed) => {
          expect(run(wasm!, call, n, seed)).toEqual(run(createScriptKernels(), call, n, seed));
        }),
        { numRuns: 60 },
      );
    });
  }

  it('the workspace grows and keeps its kernels working', () => {
    const kernels = createWasmKernels()!;
    kernels.reserve(10);
    const mem = kernels.reserve(300_000);
    expect(mem.length).toBeGreaterThanOrEqual(300_000);
    mem.fill(2, 100, 100 + 5 * 7);
    kernels.dot4(100, 7, 100 + 28, 7);
    expect(Array.from(mem.subarray(0, 4))).toEqual([28, 28, 28, 28]);
  });
});
