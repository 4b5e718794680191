import { type Shape, sizeOf } from '@frugaljs/core';

/** A tensor as a file holds it: row-major. */
export interface RecordedTensor {
  readonly shape: Shape;
  readonly data: readonly number[];
}

/** What the official code held of one parameter's subspace after a step; `null` where there is none. */
export type RecordedSubspace =
  | { readonly indices: readonly number[] }
  | { readonly basis: readonly RecordedTensor[] }
  | { readonly active: boolean }
  | null;

export interface TrajectoryParameter {
  readonly name: string;
  readonly shape: Shape;
  /** False for parameters that the projected classes train with their plain rule. */
  readonly projectable: boolean;
  readonly init: readonly number[];
}

export interface TrajectoryStep {
  /** Per parameter; `null` for a parameter that got no gradient. */
  readonly grads: readonly (readonly number[] | null)[];
  /** Per parameter, after the step. */
  readonly params: readonly (readonly number[])[];
  readonly subspace: readonly RecordedSubspace[];
}

/** One run of an official optimizer. */
export interface TrajectoryCase {
  readonly name: string;
  /** Code base and class, such as `FRUGAL CoordAdamW`. */
  readonly official: string;
  /** The arguments of the class by their official names; what is not there has the official default. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly params: readonly TrajectoryParameter[];
  readonly steps: readonly TrajectoryStep[];
}

/** A file, or a case in it, is not what the format says. */
export class TrajectoryFormatError extends Error {
  constructor(where: string, expected: string, found: unknown) {
    super(`${where}: expected ${expected}, found ${JSON.stringify(found)?.slice(0, 120)}`);
    this.name = 'TrajectoryFormatError';
  }
}

const FORMAT = 'optimizer-trajectories/1';

/**
 * The cases of a file, each still to be checked with {@link checkCase}, so that a broken case does not hide the others.
 *
 * @throws TrajectoryFormatError for a file of another format or layout.
 */
export function readTrajectories(text: string): readonly unknown[] {
  const file = requireObject('file', parse(text), ['format', 'layout', 'cases']);
  if (file['format'] !== FORMAT) throw new TrajectoryFormatError('format', FORMAT, file['format']);
  const { layout, cases } = file;
  if (typeof layout !== 'string' || !/row-major/.test(layout)) {
    throw new TrajectoryFormatError('layout', 'a description that says row-major', layout);
  }
  if (!Array.isArray(cases)) throw new TrajectoryFormatError('cases', 'a list', cases);
  return cases;
}

/**
 * Checks one case against the format: keys, types, lengths.
 *
 * @throws TrajectoryFormatError naming the place.
 */
export function checkCase(value: unknown): TrajectoryCase {
  const found = requireObject('case', value, ['name', 'official', 'config', 'params', 'steps', 'note'], ['note']);
  for (const key of ['name', 'official']) requireType(key, found[key], 'string');
  requireObject('config', found['config']);
  const params = requireList('params', found['params']).map((parameter, i) =>
    checkParameter(`params[${i}]`, parameter),
  );
  const repeated = params.find(({ name }, i) => params.findIndex(other => other.name === name) !== i);
  if (repeated !== undefined) throw new TrajectoryFormatError('params', 'different names', repeated.name);
  const steps = requireList('steps', found['steps']);
  steps.forEach((step, k) => {
    checkStep(`steps[${k}]`, step, params);
  });
  return value as TrajectoryCase;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TrajectoryFormatError('file', `JSON (${(error as Error).message})`, text.slice(0, 40));
  }
}

function checkParameter(where: string, value: unknown): TrajectoryParameter {
  const { name, shape, projectable, init } = requireObject(where, value, ['name', 'shape', 'projectable', 'init']);
  requireType(`${where}.name`, name, 'string');
  requireType(`${where}.projectable`, projectable, 'boolean');
  checkIntegers(`${where}.shape`, shape);
  checkNumbers(`${where}.init`, init, sizeOf(shape as Shape));
  return value as TrajectoryParameter;
}

function checkStep(where: string, value: unknown, params: readonly TrajectoryParameter[]): void {
  const step = requireObject(where, value, ['grads', 'params', 'subspace']);
  for (const key of ['grads', 'params', 'subspace']) {
    const list = requireList(`${where}.${key}`, step[key]);
    if (list.length !== params.length) {
      throw new TrajectoryFormatError(`${where}.${key}`, `one entry for each of ${params.length} parameters`, list);
    }
    list.forEach((entry, i) => {
      const place = `${where}.${key}[${i}]`;
      if (entry === null && key !== 'params') return;
      if (key === 'subspace') checkSubspace(place, entry, params[i]!);
      else checkNumbers(place, entry, sizeOf(params[i]!.shape));
    });
  }
}

function checkSubspace(where: string, value: unknown, { projectable, name }: TrajectoryParameter): void {
  if (!projectable) throw new TrajectoryFormatError(where, `null, because ${name} is not projectable`, value);
  const recorded = requireObject(where, value);
  switch (Object.keys(recorded).join()) {
    case 'active':
      requireType(where, recorded['active'], 'boolean');
      break;
    case 'indices':
      checkIntegers(where, recorded['indices']);
      break;
    case 'basis':
      requireList(`${where}.basis`, recorded['basis']).forEach((tensor, i) => {
        const { shape, data } = requireObject(`${where}.basis[${i}]`, tensor, ['shape', 'data']);
        checkIntegers(`${where}.basis[${i}].shape`, shape);
        checkNumbers(`${where}.basis[${i}].data`, data, sizeOf(shape as Shape));
      });
      break;
    default:
      throw new TrajectoryFormatError(where, 'null, { indices }, { basis: [{ shape, data }] } or { active }', value);
  }
}

/** Unknown keys are refused: what they say could matter to the trajectory. */
function requireObject(
  where: string,
  value: unknown,
  keys?: readonly string[],
  optional: readonly string[] = [],
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TrajectoryFormatError(where, 'an object', value);
  }
  const missing = keys?.find(key => !(key in value) && !optional.includes(key));
  const unknown = keys === undefined ? undefined : Object.keys(value).find(key => !keys.includes(key));
  if (missing !== undefined) throw new TrajectoryFormatError(where, `the key ${missing}`, Object.keys(value));
  if (unknown !== undefined) throw new TrajectoryFormatError(where, `only the keys ${keys!.join(', ')}`, unknown);
  return value as Record<string, unknown>;
}

function requireList(where: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value;
  throw new TrajectoryFormatError(where, 'a list that is not empty', value);
}

function requireType(where: string, value: unknown, type: 'string' | 'boolean'): void {
  if (typeof value !== type) throw new TrajectoryFormatError(where, `a ${type}`, value);
}

function checkIntegers(where: string, value: unknown): void {
  if (Array.isArray(value) && value.every(x => Number.isSafeInteger(x) && x >= 0)) return;
  throw new TrajectoryFormatError(where, 'a list of integers of at least 0', value);
}

function checkNumbers(where: string, value: unknown, count: number): void {
  if (Array.isArray(value) && value.length === count && value.every(x => Number.isFinite(x))) return;
  throw new TrajectoryFormatError(where, `${count} numbers`, value);
}
