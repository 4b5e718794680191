import * as core from '@frugaljs/core';
import { type Complaint, FrugalError } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { describe, expect, test } from 'vitest';

const CODES: Readonly<Record<string, string>> = {
  InvalidOptionError: 'invalid-option',
  InvalidExpressionError: 'invalid-expression',
  UnknownNameError: 'unknown-name',
  UnmatchedGroupError: 'unmatched-group',
  ShapeMismatchError: 'shape-mismatch',
  UnsupportedShapeError: 'unsupported-shape',
  MissingGradientError: 'missing-gradient',
  NonFiniteGradientError: 'non-finite-gradient',
  DisposedError: 'disposed',
  TornUpdateError: 'torn-update',
  SharedVariableError: 'shared-variable',
  AveragedWeightsError: 'averaged-weights',
  InvalidStateError: 'invalid-state',
  NotSerializableError: 'not-serializable',
  UnsupportedBackendError: 'unsupported-backend',
  DeviceLostError: 'device-lost',
  OutOfMemoryError: 'out-of-memory',
};

type ErrorClass = new (complaint: Complaint) => FrugalError;
/** The one class that says more than its complaint. */
class OutOfHostMemory extends core.OutOfMemoryError {
  constructor(complaint: Complaint) {
    super('host', complaint);
  }
}
const classes = { ...core, OutOfMemoryError: OutOfHostMemory } as unknown as Readonly<Record<string, ErrorClass>>;

test('every exported error class is in the table', () => {
  const exported = Object.keys(core).filter(name => name.endsWith('Error') && name !== 'FrugalError');
  expect(exported.sort()).toEqual(Object.keys(CODES).sort());
});

describe.each(Object.entries(CODES))('%s', (name, code) => {
  const error = new classes[name]!({
    parameter: 'adamW.beta1',
    found: 1.5,
    expected: 'a number in [0, 1)',
    advice: 'Lower it.',
  });

  test('is an Error with its own name, code and parameter', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(FrugalError);
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(error.parameter).toBe('adamW.beta1');
    expect(error.stack).toContain('errors.test');
  });

  test('says what is wrong, what was found, what was expected and what to do', () => {
    expect(error.message).toBe('adamW.beta1: expected a number in [0, 1), found 1.5. Lower it.');
    expect(String(error)).toBe(`${name}: ${error.message}`);
  });
});

test('carries the error that it explains, if there is one', () => {
  const complaint = { parameter: 'backend', found: 'a device that is gone', expected: 'one that answers' };
  const cause = new Error('lost');
  expect(new core.DeviceLostError(complaint, cause).cause).toBe(cause);
  expect(new core.DeviceLostError(complaint)).not.toHaveProperty('cause');
});

describe('what was found is readable', () => {
  class Custom {}
  const circular: { self?: unknown } = {};
  circular.self = circular;
  test.each<[unknown, string]>([
    ['adam', 'adam'],
    ['', '""'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Number.NaN, 'NaN'],
    [false, 'false'],
    [3n, '3'],
    [Symbol('s'), 'Symbol(s)'],
    [[2, 3], '[2,3]'],
    [{ rank: 2 }, '{"rank":2}'],
    [/norm/i, '/norm/i'],
    [Math.max, 'function max'],
    [() => 0, 'function (anonymous)'],
    [new Custom(), 'an instance of Custom'],
    [new Float32Array(1e6), 'an instance of Float32Array'],
    [circular, '[object Object]'],
  ])('%o', (found, shown) => {
    const { message } = new core.InvalidOptionError({ parameter: 'p', found, expected: 'something else' });
    expect(message).toBe(`p: expected something else, found ${shown}.`);
  });

  test('a tensor is named, not printed', () => {
    const tensor = tf.zeros([2]);
    const { message } = new core.InvalidOptionError({ parameter: 'p', found: tensor, expected: 'a number' });
    expect(message).toBe('p: expected a number, found an instance of Tensor.');
    tensor.dispose();
  });

  test('and short', () => {
    const { message } = new core.InvalidOptionError({ parameter: 'p', found: 'x'.repeat(1e5), expected: 'less' });
    expect(message.length).toBeLessThan(300);
    expect(message).toContain('x…');
  });
});
