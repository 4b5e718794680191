import {
  type Code,
  type FunctionScope,
  f32,
  f32x4,
  i32,
  i32x4,
  integers,
  type Local,
  ModuleBuilder,
  type Operand,
  repeatWhile,
  sequence,
  v128,
} from '@frugaljs/wasm-assembly';
import { Exp, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { Program } from '../program.js';
import { type Replacement, replacement } from './replacement.js';

/** `exp` of float32, four at a time; of other types it is tfjs's. */
export const exp: Replacement = replacement<Record<'x', TensorInfo>, object>(Exp, ({ inputs: { x }, heap, tfjs }) => {
  if (x.dtype !== 'float32') return tfjs();
  const out = heap.backend.makeOutput(x.shape, 'float32');
  exponentialProgram.on(heap.memory).exp(heap.offset(out), heap.offset(x), util.sizeFromShape(x.shape));
  return out;
});

/**
 * `exp(to, from, count)`: elementwise `eˣ` of float32.
 *
 * `x = n·ln 2 + r` with integer `n` and `|r| ≤ ln 2 / 2`; then `eˣ = 2ⁿ·eʳ`. `eʳ` is its Taylor polynomial of degree 7,
 * whose remainder, below 6e-9, is a tenth of a float32 rounding step; ln 2 is split in two so that `n·ln 2` stays exact
 * (Cody and Waite, *Software Manual for the Elementary Functions*, 1980, ch. 6). `2ⁿ` is applied as two factors, which
 * lets results overflow to infinity and fade out through the subnormal numbers. NaN gives NaN.
 */
export const exponentialProgram: Program<'exp'> = new Program('exponential', () => {
  const module = new ModuleBuilder();
  module.define('exp', integers('to', 'from', 'count'), ({ to, from, count }, scope) => {
    const exponential = defineExponential(scope);
    return sequence(
      exponential.prepare,
      repeatWhile(
        i32.geU(count, 4),
        exponential.of(v128.load(from)),
        v128.store(to, exponential.result),
        to.advance(16),
        from.advance(16),
        count.advance(-4),
      ),
      repeatWhile(
        count,
        exponential.of(v128.load32Splat(from)),
        v128.store32Lane0(to, exponential.result),
        to.advance(4),
        from.advance(4),
        count.advance(-1),
      ),
    );
  });
  return module;
});

/** Beyond these the result is infinity or zero, and `n` would leave the range that two factors cover. */
const LARGEST = 89;
const SMALLEST = -105;
/** Adding it rounds a float32 of moderate size to an integer, kept in the low bits: 1.5·2²³. */
const ROUNDING_SHIFT = 12582912;
/** ln 2 cut to 15 bits, times an 8-bit integer exact, and what is missing. */
const LN2_HIGH = 0.693145751953125;
const LN2_LOW = 1.42860682e-6;
const TAYLOR = [1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1, 1];

interface Exponential {
  /** Loads the constants; once, before the loop. */
  readonly prepare: Code;
  /** Computes the exponential of a vector into `result`. */
  of(x: Operand): Code;
  readonly result: Local;
}

function defineExponential(scope: FunctionScope): Exponential {
  const constants: Code[] = [];
  const constant = (value: number): Local => {
    const local = scope.local('v128');
    constants.push(local.set(f32x4.splat(f32.const(value))));
    return local;
  };
  const largest = constant(LARGEST);
  const smallest = constant(SMALLEST);
  const perLn2 = constant(Math.LOG2E);
  const shift = constant(ROUNDING_SHIFT);
  const ln2High = constant(LN2_HIGH);
  const ln2Low = constant(LN2_LOW);
  const [leading, ...coefficients] = TAYLOR.map(constant) as [Local, ...Local[]];
  const bias = scope.local('v128');
  constants.push(bias.set(i32x4.splat(127)));

  const [x, shifted, n, half, result] = scope.locals('v128', 5) as [Local, Local, Local, Local, Local];
  const powerOfTwo = (exponent: Operand): Code => i32x4.shl(i32x4.add(exponent, bias), 23);
  const of = (input: Operand): Code =>
    sequence(
      x.set(f32x4.pmax(f32x4.pmin(input, largest), smallest)),
      shifted.set(f32x4.add(f32x4.mul(x, perLn2), shift)),
      n.set(f32x4.sub(shifted, shift)),
      x.set(f32x4.sub(f32x4.sub(x, f32x4.mul(n, ln2High)), f32x4.mul(n, ln2Low))),
      result.set(leading),
      ...coefficients.map(coefficient => result.set(f32x4.add(f32x4.mul(result, x), coefficient))),
      n.set(i32x4.sub(shifted, shift)),
      half.set(i32x4.shrS(n, 1)),
      result.set(f32x4.mul(f32x4.mul(result, powerOfTwo(half)), powerOfTwo(i32x4.sub(n, half)))),
    );
  return { prepare: sequence(...constants), of, result };
}
