import {
  DisposedError,
  InvalidOptionError,
  MissingGradientError,
  ShapeMismatchError,
  sameShape,
  UnknownNameError,
} from '@frugaljs/core';
import { engine, Tensor, type Variable } from '@tensorflow/tfjs-core';

/** A tensor under the name of its variable, as tfjs passes them around. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** The two forms in which tfjs hands gradients to an optimizer. */
export type Gradients = Readonly<Record<string, Tensor | null | undefined>> | readonly NamedTensor[];

/** A variable with its gradient. */
export interface VariableGradient {
  readonly name: string;
  readonly variable: Variable;
  readonly gradient: Tensor;
}

/** The trainable variables of a set of gradients, and those of them that have one. */
export interface ReadGradients {
  readonly variables: readonly Variable[];
  readonly entries: readonly VariableGradient[];
}

/**
 * Looks up the variables of a set of gradients and checks each pair; changes nothing.
 *
 * @param onMissing What a null gradient of a trainable variable does.
 * @param isKnown Tells whether a variable of that name was trained before.
 */
export function readGradients(
  gradients: Gradients,
  onMissing: 'throw' | 'skip',
  isKnown: (name: string) => boolean,
): ReadGradients {
  requireGradients(gradients);
  const pairs: readonly (readonly [string, Tensor | null | undefined])[] = Array.isArray(gradients)
    ? (gradients as readonly NamedTensor[]).map(({ name, tensor }) => [name, tensor] as const)
    : Object.entries(gradients as Readonly<Record<string, Tensor | null | undefined>>);
  const variables: Variable[] = [];
  const entries: VariableGradient[] = [];
  for (const [name, gradient] of pairs) {
    const variable = findVariable(name, isKnown(name));
    const isMissing = gradient === null || gradient === undefined;
    if (isMissing && !variable.trainable) continue;
    variables.push(variable);
    if (!isMissing) {
      requireFit(name, variable, gradient);
      entries.push({ name, variable, gradient });
    } else if (onMissing === 'throw') {
      throw new MissingGradientError({
        parameter: `gradient of "${name}"`,
        found: String(gradient),
        expected: `a tensor of shape [${variable.shape}]`,
        advice: 'Leave the variable out, set trainable to false, or compose with onMissingGradient: "skip".',
      });
    }
  }
  return { variables, entries };
}

/** A Map has no entries that `Object.entries` finds: it would train nothing, in silence. */
function requireGradients(gradients: unknown): void {
  const named = (each: unknown): boolean => typeof (each as NamedTensor | null)?.name === 'string';
  const isList = Array.isArray(gradients);
  if (isList && gradients.every(named)) return;
  const isRecord = typeof gradients === 'object' && gradients !== null && !(Symbol.iterator in gradients);
  if (isRecord && !(gradients instanceof Tensor)) return;
  throw new InvalidOptionError({
    parameter: 'applyGradients',
    found: isList ? 'a list in which something has no name' : gradients,
    expected: 'tensors by the names of their variables, as in variableGrads(f).grads, or a list of { name, tensor }',
  });
}

function findVariable(name: string, known: boolean): Variable {
  const variable = engine().registeredVariables[name];
  if (variable !== undefined) return variable;
  if (known) {
    throw new DisposedError({
      parameter: `variable "${name}"`,
      found: 'a variable that was disposed after earlier updates',
      expected: 'a live variable',
      advice: 'Dispose the optimizer together with the model and compose a new one.',
    });
  }
  throw new UnknownNameError({
    parameter: `gradient of "${name}"`,
    found: 'a name that no live tf.Variable has',
    expected: `one of ${Object.keys(engine().registeredVariables).slice(0, 20).join(', ') || '(there are no variables)'}`,
    advice:
      name === 'grads' || name === 'value'
        ? 'Pass the grads of what variableGrads returns.'
        : 'Gradients are matched to variables by name; a disposed variable no longer has one.',
  });
}

function requireFit(name: string, variable: Variable, gradient: Tensor): void {
  if (variable.dtype !== 'float32') {
    throw new ShapeMismatchError({
      parameter: `variable "${name}"`,
      found: `a variable of type ${variable.dtype}`,
      expected: 'a float32 variable',
      advice: 'Make it float32, or set trainable to false if it only counts or indexes.',
    });
  }
  if (!(gradient instanceof Tensor)) {
    throw new ShapeMismatchError({
      parameter: `gradient of "${name}"`,
      found: gradient,
      expected: `a float32 tensor of shape [${variable.shape}]`,
    });
  }
  if (gradient.isDisposed) {
    throw new DisposedError({
      parameter: `gradient of "${name}"`,
      found: 'a disposed tensor',
      expected: 'a live tensor',
      advice: 'Dispose gradients after applyGradients, not before.',
    });
  }
  if (!sameShape(gradient.shape, variable.shape) || gradient.dtype !== 'float32') {
    throw new ShapeMismatchError({
      parameter: `gradient of "${name}"`,
      found: `a ${gradient.dtype} tensor of shape [${gradient.shape}]`,
      expected: `a float32 tensor of shape [${variable.shape}]`,
    });
  }
}
