import type { RecordedSubspace, TrajectoryCase, TrajectoryParameter } from '../trajectory-file.js';
import { NoiseWatch } from './noise.js';
import { RandomSource } from './random-source.js';
import type { Config } from './rules.js';

/** What a simulation starts from: everything of a trajectory but its outcome. */
export interface Problem {
  readonly official: string;
  readonly config: Config;
  readonly params: readonly Omit<TrajectoryParameter, 'init'>[];
  readonly steps: number;
  readonly seed: number;
  /** Chance that a parameter gets no gradient in a step. */
  readonly missing: number;
}

/** One parameter in a simulation. */
export interface Simulated {
  readonly name: string;
  readonly shape: readonly number[];
  readonly projectable: boolean;
  value: number[];
  grad: number[] | null;
  /** The gradient, for a refresh that official code could not do without it. */
  spare: number[];
  recorded: RecordedSubspace;
}

/** One step of an official optimizer. */
export type SimulatedStep = (parameters: readonly Simulated[]) => void;

export interface Simulation {
  readonly trajectory: TrajectoryCase;
  /** True when the outcome depends on rounding noise, so that no float32 program can be held to it. */
  readonly noisy: boolean;
}

/** Runs a simulated optimizer over random gradients and writes down the trajectory. */
export function simulate(
  { official, config, params, steps, seed, missing }: Problem,
  optimizer: (config: Config, random: RandomSource, watch: NoiseWatch) => SimulatedStep,
): Simulation {
  const random = new RandomSource(seed);
  const watch = new NoiseWatch();
  const parameters: Simulated[] = params.map(parameter => {
    const value = random.normals(sizeOf(parameter.shape));
    return { ...parameter, value, grad: null, spare: [], recorded: null };
  });
  const initial = parameters.map(({ value }) => value);
  const step = optimizer(config, random, watch);
  const written = Array.from({ length: steps }, () => {
    for (const parameter of parameters) {
      parameter.spare = random.normals(sizeOf(parameter.shape));
      parameter.grad = random.uniform() < missing ? null : parameter.spare;
    }
    step(parameters);
    return {
      grads: parameters.map(({ grad }) => grad),
      params: parameters.map(({ value }) => value),
      subspace: parameters.map(({ recorded }) => recorded),
    };
  });
  const trajectory: TrajectoryCase = {
    name: 'simulated',
    official,
    config,
    params: params.map((parameter, i) => ({ ...parameter, init: initial[i]! })),
    steps: written,
  };
  return { trajectory, noisy: watch.noisy };
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
