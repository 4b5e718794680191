import { UnsupportedBackendError } from '@frugaljs/core';
import { f32, i32, integers, ModuleBuilder, repeatWhile, sequence, when } from '@frugaljs/wasm-assembly';
import { describe, expect, it } from 'vitest';
import { exponentialProgram } from '../src/kernels/exp.js';
import { segmentProgram } from '../src/kernels/gather.js';
import { multiplyProgram } from '../src/kernels/multiply-program.js';
import { copyProgram } from '../src/kernels/rows.js';
import { sumProgram } from '../src/kernels/sums.js';
import { Program } from '../src/program.js';

/** Sums 1 … n to memory, and stores 2.5 behind it unless n is 0. */
function counting(): ModuleBuilder {
  const module = new ModuleBuilder();
  module.define('count', integers('to', 'n'), ({ to, n }, scope) => {
    const total = scope.local('i32');
    return sequence(
      when(n, f32.store(to, f32.const(2.5), 4)),
      repeatWhile(n, total.set(i32.add(total, n)), n.advance(-1)),
      i32.store(to, total),
    );
  });
  return module;
}

describe('Program', () => {
  it('computes in the memory it is given', () => {
    const program = new Program<'count'>('counting', counting);
    const memory = new WebAssembly.Memory({ initial: 1 });
    program.on(memory).count(16, 10);
    expect(new Int32Array(memory.buffer)[4]).toBe(55);
    expect(new Float32Array(memory.buffer)[5]).toBe(2.5);
    program.on(memory).count(32, 0);
    expect(new Float32Array(memory.buffer)[9]).toBe(0);
    expect(program.on(memory)).toBe(program.on(memory));
  });

  it('goes on after the memory has grown', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { count } = new Program<'count'>('counting', counting).on(memory);
    memory.grow(1);
    count(65536, 4);
    expect(new Int32Array(memory.buffer)[16384]).toBe(10);
  });

  it('complains about an engine that rejects it', () => {
    const broken = new Program<'f'>('broken', () => {
      const module = new ModuleBuilder();
      module.define('f', {}, () => i32.add(1, f32.const(1)));
      return module;
    });
    expect(() => broken.on(new WebAssembly.Memory({ initial: 1 }))).toThrow(UnsupportedBackendError);
  });

  it.each([
    ['copy', copyProgram],
    ['exponential', exponentialProgram],
    ['multiply', multiplyProgram],
    ['segment', segmentProgram],
    ['sum', sumProgram],
  ] as const)('%s also runs on a shared memory, as of tfjs with threads', (_, program) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
    expect(Object.keys(program.on(memory)).length).toBeGreaterThan(0);
  });
});
