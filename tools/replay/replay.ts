import { type ComposedOptimizer, type ComposeOptions, compose } from '@frugaljs/composer';
import { UnknownNameError } from '@frugaljs/core';
import { scalar, type Tensor, tensor, type Variable, variable } from '@tensorflow/tfjs-core';
import { planApollo } from './apollo.js';
import { planFira } from './fira.js';
import { planFoam } from './foam.js';
import { planFrugal } from './frugal.js';
import { planGalore } from './galore.js';
import { planLdAdam } from './ldadam.js';
import type { Plan, PlanOptions } from './official-class.js';
import { planScale } from './scale.js';
import { checkCase, type TrajectoryCase } from './trajectory-file.js';

/** Where a replay is furthest from the official code. */
export interface WorstError {
  readonly error: number;
  /** Counted from 1. */
  readonly step: number;
  readonly parameter: string;
}

export interface ReplayResult {
  readonly name: string;
  readonly official: string;
  readonly passed: boolean;
  readonly worst: WorstError | null;
  /** Why the case could not be replayed to its end. */
  readonly reason: string | null;
}

export interface ReplayOptions extends PlanOptions {
  /** What runs the rules, as in `compose`. */
  readonly kernels: NonNullable<ComposeOptions['kernels']>;
}

/** Largest relative error of a replay that passes. */
export const BOUND = 1e-5;

/** Replays one case and compares all parameters after every step. Never throws: what goes wrong is the case's result. */
export async function replayCase(value: unknown, options: ReplayOptions): Promise<ReplayResult> {
  const { name = '(unnamed case)', official = '' } = (value ?? {}) as Partial<TrajectoryCase>;
  try {
    const worst = await follow(checkCase(value), options);
    return { name, official, passed: worst.error <= BOUND, worst, reason: null };
  } catch (error) {
    return { name, official, passed: false, worst: null, reason: String(error) };
  }
}

async function follow(trajectory: TrajectoryCase, options: ReplayOptions): Promise<WorstError> {
  const plans = planCase(trajectory, options);
  const optimizers = plans.map(({ composition }) => compose({ ...composition, kernels: options.kernels }));
  const variables: Variable[] = [];
  let worst: WorstError = { error: 0, step: 0, parameter: '' };
  try {
    for (const { name, shape, init } of trajectory.params) variables.push(variableOf(name, shape, init));
    for (const [k, { params }] of trajectory.steps.entries()) {
      for (const [i, plan] of plans.entries()) await step(optimizers[i]!, plan, trajectory, variables, k);
      for (const [i, official] of params.entries()) {
        const error = relativeError(await variables[i]!.data(), official);
        if (worst.step === 0 || error > worst.error) {
          worst = { error, step: k + 1, parameter: trajectory.params[i]!.name };
        }
      }
    }
  } finally {
    for (const optimizer of optimizers) optimizer.dispose();
    for (const parameter of variables) parameter.dispose();
  }
  return worst;
}

/** One step of one composition; the parameters without a gradient stay as they are, as in the official code. */
async function step(
  optimizer: ComposedOptimizer,
  { parameters, updatesBefore, learningRate }: Plan,
  { params, steps }: TrajectoryCase,
  variables: readonly Variable[],
  k: number,
): Promise<void> {
  const { grads } = steps[k]!;
  const present = parameters.filter(i => grads[i] !== null);
  if (present.length === 0) return;
  const updates = updatesBefore?.[k];
  if (updates !== undefined && updates !== optimizer.updates) await setUpdates(optimizer, updates);
  if (learningRate !== undefined) {
    optimizer.learningRate = learningRate((await variables[present[0]!]!.data()) as Float32Array);
  }
  const gradients: { name: string; tensor: Tensor }[] = present.map(i => ({
    name: variables[i]!.name,
    tensor: tensor(grads[i]!.slice(), [...params[i]!.shape]),
  }));
  try {
    optimizer.applyGradients(gradients);
  } finally {
    for (const gradient of gradients) gradient.tensor.dispose();
  }
}

/** Sets the update counter, which decides when subspaces are refreshed, and leaves all state as it is. */
async function setUpdates(optimizer: ComposedOptimizer, updates: number): Promise<void> {
  const counter = scalar(updates, 'int32');
  const weights = await optimizer.getWeights();
  await optimizer.setWeights(
    weights.map(({ name, tensor: value }) => ({ name, tensor: name === '::updates' ? counter : value })),
  );
  counter.dispose();
}

function variableOf(name: string, shape: readonly number[], values: readonly number[]): Variable {
  const initial = tensor(values.slice(), [...shape]);
  const made = variable(initial, true, name);
  initial.dispose();
  return made;
}

type Planner = (className: string, trajectory: TrajectoryCase, options: PlanOptions) => readonly Plan[];

const CODE_BASES: Readonly<Record<string, Planner>> = {
  FRUGAL: planFrugal,
  GaLore: planGalore,
  Fira: planFira,
  APOLLO: planApollo,
  LDAdam: planLdAdam,
  SCALE: planScale,
  FOAM: planFoam,
};

/**
 * Expresses the official class of a case in compositions.
 *
 * @throws UnknownNameError for a code base or class that is not supported.
 */
function planCase(trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  const [codeBase = '', className = ''] = trajectory.official.split(' ');
  if (Object.hasOwn(CODE_BASES, codeBase)) return CODE_BASES[codeBase]!(className, trajectory, options);
  throw new UnknownNameError({
    parameter: 'official',
    found: `unsupported code base in "${trajectory.official}"`,
    expected: `${Object.keys(CODE_BASES).join(' or ')}, then the name of a class`,
  });
}

/** Share of a tensor's largest entry below which differences are not measured against the entry itself. */
const ERROR_FLOOR = 0.1;

/** How the error is defined, for the report. */
export const ERROR_DEFINITION = `|ours - official| / max(|official|, ${ERROR_FLOOR} · largest |official| of the tensor)`;

/**
 * Largest error of a tensor's entries, each relative to the official entry, or to {@link ERROR_FLOOR} of the tensor's
 * largest entry where that is more: an entry on its way through 0 keeps the rounding errors of its former size, which a
 * float32 program can do nothing about. A tensor of zeros must be met exactly. NaN and Inf count as infinitely wrong.
 */
export function relativeError(ours: ArrayLike<number>, official: readonly number[]): number {
  const floor = ERROR_FLOOR * official.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  return official.reduce((worst, expected, i) => {
    const difference = Math.abs(ours[i]! - expected);
    const error = difference === 0 ? 0 : difference / Math.max(Math.abs(expected), floor);
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }, 0);
}
