import type { NoiseWatch } from './noise.js';
import type { RandomSource } from './random-source.js';
import { type Config, type RuleState, type SimulatedRule, simulatedRule } from './rules.js';
import type { Simulated, SimulatedStep } from './run.js';
import { coordinates, dense, pythonRound, type SimulatedSubspace, sideOf } from './subspaces.js';

interface ProjectedConfig {
  readonly density: number;
  readonly update_gap: number;
  readonly reset_statistics: boolean;
  readonly inactive_update_rule: 'no' | 'sgd' | 'sign_sgd';
  readonly inactive_lr_scale: number;
  readonly proj_params_lr_scale: number;
  readonly proj_side: string;
  readonly proj_type: string;
  readonly coord_choice: string;
  readonly block_order: string;
}

const DEFAULTS: ProjectedConfig = {
  density: 0.25,
  update_gap: 200,
  reset_statistics: true,
  inactive_update_rule: 'sign_sgd',
  inactive_lr_scale: 1,
  proj_params_lr_scale: 1,
  proj_side: 'std',
  proj_type: 'svd',
  coord_choice: 'columns',
  block_order: 'random',
};

const LEARNING_RATES: Readonly<Record<string, number>> = { AdamW: 1e-3, Lion: 1e-4, SGD: 1e-3 };
const DECAYS: Readonly<Record<string, number>> = { AdamW: 0.01, Lion: 0, SGD: 0 };

/** A class of FRUGAL's code, step by step in float64 and without any of the library's parts. */
export function frugalClass(
  className: string,
): (config: Config, random: RandomSource, watch: NoiseWatch) => SimulatedStep {
  const [, projection = '', kind = ''] = /^(Galore|Coord|Block)?(AdamW|Lion|SGD)$/.exec(className)!;
  return (config, random, watch) => {
    const rule = simulatedRule(kind, config);
    const lr = (config['lr'] as number | undefined) ?? LEARNING_RATES[kind]!;
    const decay = (config['weight_decay'] as number | undefined) ?? DECAYS[kind]!;
    if (projection === '') return plain(rule, kind, lr, decay, watch);
    const projected = { ...DEFAULTS, ...config } as ProjectedConfig;
    return projection === 'Block'
      ? blocks(rule, lr, decay, projected, random, watch)
      : subspaces(projection, rule, lr, decay, projected, random, watch);
  };
}

function plain(rule: SimulatedRule, kind: string, lr: number, decay: number, watch: NoiseWatch): SimulatedStep {
  const states = new Map<Simulated, RuleState>();
  return parameters => {
    for (const p of parameters) {
      if (p.grad === null) continue;
      watch.startOn(p.grad);
      const coupled = kind === 'SGD';
      const w = p.value;
      const g = coupled ? p.grad.map((x, i) => x + decay * w[i]!) : p.grad;
      const state = states.get(p) ?? rule.begin(w);
      states.set(p, state);
      state.step += 1;
      move(p, coupled ? 1 : 1 - lr * decay, [rule.increment(g, state, lr, watch)]);
    }
  };
}

function subspaces(
  projection: string,
  rule: SimulatedRule,
  lr: number,
  decay: number,
  config: ProjectedConfig,
  random: RandomSource,
  watch: NoiseWatch,
): SimulatedStep {
  const { density, proj_side, proj_type, coord_choice } = config;
  const states = new Map<Simulated, RuleState>();
  const held = new Map<Simulated, SimulatedSubspace>();
  const choose = (p: Simulated): SimulatedSubspace => {
    const shape = p.shape as unknown as readonly [number, number];
    const [m, n] = shape;
    if (projection === 'Coord') return coordinates(coord_choice, density, shape, random);
    const side = sideOf(proj_side, shape);
    const rank = pythonRound(density * { right: n, left: m, full: Math.min(m, n) }[side]);
    return dense(proj_type, side, rank, p.grad!, shape, random, watch);
  };
  return parameters => {
    const group = parameters.filter(({ projectable }) => projectable);
    if ((states.get(group[0]!)?.step ?? 0) % config.update_gap === 0) {
      for (const p of group) {
        p.grad = p.spare;
        const chosen = choose(p);
        held.set(p, chosen);
        p.recorded = chosen.recorded;
        if (!states.has(p) || config.reset_statistics) states.set(p, rule.begin(chosen.down(p.grad)));
      }
    }
    for (const p of parameters) {
      if (p.grad === null) continue;
      watch.startOn(p.grad);
      const g = p.grad;
      const state = states.get(p) ?? rule.begin(p.value);
      states.set(p, state);
      state.step += 1;
      if (!p.projectable) {
        move(p, 1 - lr * decay, [rule.increment(g, state, lr, watch)]);
        continue;
      }
      const { down, up } = held.get(p)!;
      const low = down(g);
      const active = up(rule.increment(low, state, lr * config.proj_params_lr_scale, watch));
      const inside = up(low);
      const rest = g.map((x, i) => x - inside[i]!);
      move(p, 1 - lr * decay, [active, ...inactive(rest, lr, config, watch)]);
    }
  };
}

function blocks(
  rule: SimulatedRule,
  lr: number,
  decay: number,
  config: ProjectedConfig,
  random: RandomSource,
  watch: NoiseWatch,
): SimulatedStep {
  const states = new Map<Simulated, RuleState>();
  let counter = 0;
  let pointer: number | undefined;
  const activeNow = (count: number): number[] => {
    const wanted = pythonRound(config.density * count);
    const chosen: number[] = [];
    switch (config.block_order) {
      case 'random':
        return random.permutation(count).slice(0, wanted);
      case 'ascending':
        pointer ??= 0;
        for (let i = pointer; i < pointer + wanted; i++) chosen.push(i % count);
        pointer += wanted;
        if (pointer >= count) pointer -= count;
        return chosen;
      case 'descending':
        pointer ??= count - 1;
        for (let i = pointer; i > pointer - wanted; i--) chosen.push((i + count) % count);
        pointer -= wanted;
        if (pointer < 0) pointer += count;
        return chosen;
      default: {
        const half = Math.floor(count / 2);
        pointer ??= 0;
        for (let i = pointer; i < pointer + wanted / 2; i++) chosen.push(i % half, count - 1 - (i % half));
        pointer += wanted / 2;
        if (pointer >= half) pointer -= half;
        return chosen;
      }
    }
  };
  return parameters => {
    const group = parameters.filter(({ projectable }) => projectable);
    if (counter % config.update_gap === 0) {
      counter = 0;
      const chosen = activeNow(group.length);
      group.forEach((p, i) => {
        p.recorded = { active: chosen.includes(i) };
        states.delete(p);
        if (chosen.includes(i)) states.set(p, rule.begin(p.value));
      });
    }
    if (group[0]!.grad !== null) counter += 1;
    for (const p of parameters) {
      if (p.grad === null) continue;
      watch.startOn(p.grad);
      const isActive = !p.projectable || (p.recorded as { active: boolean }).active;
      if (!isActive) {
        move(p, 1 - lr * decay, inactive(p.grad, lr, config, watch));
        continue;
      }
      const state = states.get(p) ?? rule.begin(p.value);
      states.set(p, state);
      state.step += 1;
      const rate = p.projectable ? lr * config.proj_params_lr_scale : lr;
      move(p, 1 - lr * decay, [rule.increment(p.grad, state, rate, watch)]);
    }
  };
}

function inactive(rest: readonly number[], lr: number, config: ProjectedConfig, watch: NoiseWatch): number[][] {
  const rate = lr * config.proj_params_lr_scale * config.inactive_lr_scale;
  if (config.inactive_update_rule === 'no') return [];
  return [(config.inactive_update_rule === 'sgd' ? rest : watch.sign(rest)).map(x => -rate * x)];
}

function move(p: Simulated, keep: number, increments: readonly (readonly number[])[]): void {
  p.value = p.value.map((w, i) => increments.reduce((sum, increment) => sum + increment[i]!, keep * w));
}
