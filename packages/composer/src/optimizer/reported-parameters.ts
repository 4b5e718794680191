import { InvalidOptionError } from '@frugaljs/core';
import type { NamedShape } from './options.js';

/** A parameter that a report is asked about. tf.layers allows null in the type of its shapes. */
export interface ReportedParameter {
  readonly name: string;
  readonly shape: readonly (number | null)[];
}

/** Parameters in a list, such as the `trainableWeights` of a model, or by name, such as `model.parameters()`. */
export type ReportedParameters =
  | readonly ReportedParameter[]
  | Readonly<Record<string, Omit<ReportedParameter, 'name'>>>;

/** The parameters in a list, with shapes that are known. */
export function namedShapes(parameters: ReportedParameters): readonly NamedShape[] {
  const list: readonly ReportedParameter[] = Array.isArray(parameters)
    ? parameters
    : Object.entries(parameters ?? {}).map(([name, parameter]) => ({ name, shape: parameter?.shape }));
  const wrong = list.findIndex(parameter => !isNamedShape(parameter));
  if (typeof parameters === 'object' && parameters !== null && wrong < 0) return list as readonly NamedShape[];
  throw new InvalidOptionError({
    parameter: wrong < 0 ? 'parameters' : `parameters[${wrong}]`,
    found: wrong < 0 ? parameters : list[wrong],
    expected: 'variables, such as model.trainableWeights, or their { name, shape }',
  });
}

function isNamedShape(parameter: ReportedParameter | null | undefined): boolean {
  if (typeof parameter?.name !== 'string' || !Array.isArray(parameter.shape)) return false;
  return parameter.shape.every(extent => typeof extent === 'number');
}
