import type { NoiseWatch } from './noise.js';
import type { RandomSource } from './random-source.js';
import { adamW, type Config, type RuleState } from './rules.js';
import type { Simulated, SimulatedStep } from './run.js';
import { dense, type SimulatedSubspace, sideOf } from './subspaces.js';

interface GroupConfig {
  readonly rank?: number;
  readonly update_proj_gap: number;
  readonly scale: number;
  readonly proj_type: string;
}

/** The part of a class of GaLore's code that knows nothing of projections. */
interface Core {
  begin(g: readonly number[], shape: readonly number[]): RuleState;
  /** What W gains before `scale`, and the factor that decays W, which acts first or last. */
  step(
    g: readonly number[],
    shape: readonly number[],
    state: RuleState,
    w: readonly number[],
    watch: NoiseWatch,
  ): { readonly increment: number[]; readonly keep: number; readonly decaysFirst: boolean };
}

/** A class of GaLore's code, step by step in float64: every parameter counts its own steps. */
export function galoreClass(
  className: 'AdamW' | 'Adafactor',
): (config: Config, random: RandomSource, watch: NoiseWatch) => SimulatedStep {
  return (config, random, watch) => {
    const { rank, update_proj_gap: gap, scale, proj_type: type } = config as unknown as GroupConfig;
    const core = className === 'AdamW' ? adamWCore(config) : adafactorCore(config);
    const states = new Map<Simulated, RuleState>();
    const held = new Map<Simulated, SimulatedSubspace>();
    return parameters => {
      for (const p of parameters) {
        if (p.grad === null) continue;
        watch.startOn(p.grad);
        const projects = rank !== undefined && p.projectable;
        if (projects && (states.get(p)?.step ?? 0) % gap === 0) {
          const shape = p.shape as unknown as readonly [number, number];
          const chosen = dense('svd', sideOf(type, shape), rank, p.grad, shape, random, watch);
          held.set(p, chosen);
          p.recorded = chosen.recorded;
        }
        const subspace = projects ? held.get(p)! : null;
        const g = subspace === null ? p.grad : subspace.down(p.grad);
        const shape = subspace === null ? p.shape : lowShape(type, p.shape, subspace);
        const state = states.get(p) ?? core.begin(g, shape);
        states.set(p, state);
        state.step += 1;
        const { increment, keep, decaysFirst } = core.step(g, shape, state, p.value, watch);
        const gain = subspace === null ? increment : subspace.up(increment).map(x => scale * x);
        p.value = p.value.map((w, i) => (decaysFirst ? keep * w + gain[i]! : keep * (w + gain[i]!)));
      }
    };
  };
}

function lowShape(type: string, shape: readonly number[], { recorded }: SimulatedSubspace): readonly number[] {
  const { basis } = recorded as { readonly basis: readonly { readonly shape: readonly number[] }[] };
  const [m, n] = shape as readonly [number, number];
  const side = sideOf(type, [m, n]);
  if (side === 'right') return [m, basis[0]!.shape[0]!];
  const r = basis[0]!.shape[1]!;
  return side === 'left' ? [r, n] : [r, r];
}

function adamWCore(config: Config): Core {
  const rule = adamW(config, 1e-6, true);
  const { lr = 1e-3, weight_decay: decay = 0 } = config as { lr?: number; weight_decay?: number };
  return {
    begin: g => rule.begin(g),
    step: (g, _shape, state, _w, watch) => {
      return { increment: rule.increment(g, state, lr, watch), keep: 1 - lr * decay, decaysFirst: false };
    },
  };
}

interface AdafactorConfig {
  readonly lr?: number | null;
  readonly eps?: readonly [number, number];
  readonly clip_threshold?: number;
  readonly decay_rate?: number;
  readonly beta1?: number | null;
  readonly weight_decay?: number;
  readonly scale_parameter?: boolean;
  readonly relative_step?: boolean;
  readonly warmup_init?: boolean;
}

function adafactorCore(config: Config): Core {
  const c = config as AdafactorConfig;
  const [eps1, eps2] = c.eps ?? [1e-30, 1e-3];
  const rms = (x: readonly number[]): number => Math.sqrt(mean(x.map(value => value * value)));
  return {
    begin: (g, shape) => ({
      step: 0,
      tensors: {
        average: g.map(() => 0),
        ...(shape.length === 2
          ? { row: new Array<number>(shape[0]!).fill(0), column: new Array<number>(shape[1]!).fill(0) }
          : { v: g.map(() => 0) }),
      },
    }),
    step: (g, shape, { step, tensors }, w) => {
      const relative = c.relative_step ?? true;
      const own = relative ? Math.min(c.warmup_init ? 1e-6 * step : 1e-2, 1 / Math.sqrt(step)) : c.lr!;
      const lr = own * ((c.scale_parameter ?? true) ? Math.max(eps2, rms(w)) : 1);
      const beta2 = 1 - step ** (c.decay_rate ?? -0.8);
      const squares = g.map(x => x * x + eps1);
      const follow = (old: readonly number[], next: readonly number[]): number[] =>
        old.map((x, i) => beta2 * x + (1 - beta2) * next[i]!);
      let update: number[];
      if (shape.length === 2) {
        const [rows, columns] = shape as readonly [number, number];
        const row = (i: number): number[] => squares.slice(i * columns, (i + 1) * columns);
        const column = (j: number): number[] => Array.from({ length: rows }, (_, i) => squares[i * columns + j]!);
        tensors['row'] = follow(
          tensors['row']!,
          tensors['row']!.map((_, i) => mean(row(i))),
        );
        tensors['column'] = follow(
          tensors['column']!,
          tensors['column']!.map((_, j) => mean(column(j))),
        );
        const average = mean(tensors['row']);
        update = g.map((x, k) => {
          const v = (tensors['row']![Math.floor(k / columns)]! * tensors['column']![k % columns]!) / average;
          return x / Math.sqrt(v);
        });
      } else {
        tensors['v'] = follow(tensors['v']!, squares);
        update = g.map((x, k) => x / Math.sqrt(tensors['v']![k]!));
      }
      const clip = Math.max(1, rms(update) / (c.clip_threshold ?? 1));
      update = update.map(x => (x / clip) * lr);
      if (c.beta1 !== undefined && c.beta1 !== null) {
        const { beta1 } = c;
        tensors['average'] = tensors['average']!.map((x, i) => beta1 * x + (1 - beta1) * update[i]!);
        update = tensors['average'];
      }
      return { increment: update.map(x => -x), keep: 1 - (c.weight_decay ?? 0) * lr, decaysFirst: true };
    },
  };
}

function mean(x: readonly number[]): number {
  return x.reduce((sum, value) => sum + value, 0) / x.length;
}
