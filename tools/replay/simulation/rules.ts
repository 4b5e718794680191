import type { NoiseWatch } from './noise.js';

/** What an official optimizer keeps for a parameter. */
export interface RuleState {
  step: number;
  tensors: Record<string, number[]>;
}

/** The rule of an official class: how its state begins, and the increment of the parameter. */
export interface SimulatedRule {
  begin(example: readonly number[]): RuleState;
  increment(g: readonly number[], state: RuleState, lr: number, watch: NoiseWatch): number[];
}

export type Config = Readonly<Record<string, unknown>>;

export function simulatedRule(kind: string, config: Config): SimulatedRule {
  if (kind === 'AdamW') return adamW(config, 1e-8, false);
  if (kind === 'Lion') return lion(config);
  return sgd(config);
}

/** @param before Whether ε comes before the bias correction, as in GaLore's code. */
export function adamW(config: Config, eps: number, before: boolean): SimulatedRule {
  const { betas = [0.9, 0.999], eps: epsilon = eps, correct_bias: corrects = true } = config as AdamWConfig;
  const [beta1, beta2] = betas;
  return {
    begin: example => ({ step: 0, tensors: { m: example.map(() => 0), v: example.map(() => 0) } }),
    increment: (g, { step, tensors }, lr, watch) => {
      if (step === 1 && epsilon < 1e-3) watch.requireClear(g, 1e-5);
      tensors['m'] = g.map((x, i) => beta1 * tensors['m']![i]! + (1 - beta1) * x);
      tensors['v'] = g.map((x, i) => beta2 * tensors['v']![i]! + (1 - beta2) * x * x);
      const [first, second] = corrects ? [1 - beta1 ** step, Math.sqrt(1 - beta2 ** step)] : [1, 1];
      return g.map((_, i) => {
        const [m, root] = [tensors['m']![i]!, Math.sqrt(tensors['v']![i]!)];
        return before ? (-lr * second * m) / first / (root + epsilon) : (-lr * m) / first / (root / second + epsilon);
      });
    },
  };
}

function lion(config: Config): SimulatedRule {
  const { betas = [0.9, 0.99] } = config as AdamWConfig;
  const [beta1, beta2] = betas;
  return {
    begin: example => ({ step: 0, tensors: { m: example.map(() => 0) } }),
    increment: (g, { tensors }, lr, watch) => {
      const mixed = g.map((x, i) => beta1 * tensors['m']![i]! + (1 - beta1) * x);
      tensors['m'] = g.map((x, i) => beta2 * tensors['m']![i]! + (1 - beta2) * x);
      return watch.sign(mixed).map(x => -lr * x);
    },
  };
}

function sgd(config: Config): SimulatedRule {
  const { momentum = 0, dampening = 0, nesterov = false, sign_update: signs = false } = config as SgdConfig;
  return {
    begin: example => ({ step: 0, tensors: { buffer: [...example] } }),
    increment: (g, { tensors }, lr, watch) => {
      let direction = [...g];
      if (momentum !== 0) {
        const buffer = tensors['buffer']!.map((b, i) => momentum * b + (1 - dampening) * g[i]!);
        tensors['buffer'] = buffer;
        direction = nesterov ? g.map((x, i) => x + momentum * buffer[i]!) : buffer;
      }
      return (signs ? watch.sign(direction) : direction).map(x => -lr * x);
    },
  };
}

interface AdamWConfig {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
  readonly correct_bias?: boolean;
}

interface SgdConfig {
  readonly momentum?: number;
  readonly dampening?: number;
  readonly nesterov?: boolean;
  readonly sign_update?: boolean;
}
