// Runs of the classes of Fira's, APOLLO's, LDAdam's and SCALE's code that test the replay: a simulation in float64 without
// any part of the library, which follows the classes statement by statement on lists of rows.
import { checkCase, type TrajectoryCase } from './trajectory-file.js';

type Matrix = number[][];
type Config = Readonly<Record<string, unknown>>;
type Basis = { readonly shape: readonly number[]; readonly data: readonly number[] };
type Recorded = { readonly basis: readonly Basis[] } | null;

interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly projectable: boolean;
  value: Matrix;
  grad: Matrix | null;
  recorded: Recorded;
  readonly state: Record<string, unknown>;
}

/** mulberry32, and normal numbers from it by Box and Muller. */
class RandomSource {
  constructor(private seed: number) {}

  uniform(): number {
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let t = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  matrix(rows: number, columns: number, scale = 1): Matrix {
    return build(rows, columns, () => Math.fround(scale * this.normal()));
  }
}

const build = (rows: number, columns: number, f: (i: number, j: number) => number): Matrix =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => f(i, j)));
const zip = (x: Matrix, y: Matrix, f: (a: number, b: number) => number): Matrix =>
  x.map((row, i) => row.map((a, j) => f(a, y[i]![j]!)));
const map = (x: Matrix, f: (a: number) => number): Matrix => x.map(row => row.map(f));
const t = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map(row => row[j]!));
const times = (x: Matrix, y: Matrix): Matrix =>
  x.map(row => y[0]!.map((_, j) => row.reduce((sum, a, k) => sum + a * y[k]![j]!, 0)));
const zeros = (x: Matrix): Matrix => map(x, () => 0);
const frobenius = (x: Matrix): number => Math.hypot(...x.flat());

/** Leading eigenvectors of a symmetric matrix as columns, by Jacobi's rotations. */
function eigenvectors(symmetric: Matrix, count: number): Matrix {
  const a = map(symmetric, x => x);
  const n = a.length;
  const v = build(n, n, (i, j) => (i === j ? 1 : 0));
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(a[p]![q]!) < 1e-300) continue;
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
        const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(tangent, 1);
        const s = tangent * c;
        for (let k = 0; k < n; k++)
          [a[k]![p], a[k]![q]] = [c * a[k]![p]! - s * a[k]![q]!, s * a[k]![p]! + c * a[k]![q]!];
        for (let k = 0; k < n; k++)
          [a[p]![k], a[q]![k]] = [c * a[p]![k]! - s * a[q]![k]!, s * a[p]![k]! + c * a[q]![k]!];
        for (let k = 0; k < n; k++)
          [v[k]![p], v[k]![q]] = [c * v[k]![p]! - s * v[k]![q]!, s * v[k]![p]! + c * v[k]![q]!];
      }
    }
  }
  const order = a.map((_, i) => i).sort((i, j) => a[j]![j]! - a[i]![i]!);
  return v.map(row => order.slice(0, count).map(i => row[i]!));
}

function gramSchmidt(x: Matrix): Matrix {
  const done: number[][] = [];
  for (const column of t(x)) {
    let rest = column;
    for (let pass = 0; pass < 3; pass++) {
      for (const q of done) {
        const inner = q.reduce((sum, a, i) => sum + a * rest[i]!, 0);
        rest = rest.map((a, i) => a - inner * q[i]!);
      }
    }
    const norm = Math.hypot(...rest);
    done.push(rest.map(a => a / norm));
  }
  return t(done);
}

/** A basis that multiplies from one side; its columns are the vectors. */
class Projection {
  constructor(
    readonly side: 'left' | 'right',
    readonly basis: Matrix,
  ) {}

  static svd(side: 'left' | 'right', x: Matrix, rank: number): Projection {
    const count = Math.min(rank, x.length, x[0]!.length);
    return new Projection(side, eigenvectors(side === 'left' ? times(x, t(x)) : times(t(x), x), count));
  }

  down(x: Matrix): Matrix {
    return this.side === 'left' ? times(t(this.basis), x) : times(x, this.basis);
  }

  up(x: Matrix): Matrix {
    return this.side === 'left' ? times(this.basis, x) : times(x, t(this.basis));
  }

  get recorded(): Recorded {
    const stored = this.side === 'left' ? this.basis : t(this.basis);
    return { basis: [{ shape: [stored.length, stored[0]!.length], data: stored.flat().map(Math.fround) }] };
  }
}

const number = (config: Config, name: string, fallback: number): number =>
  (config[name] as number | undefined) ?? fallback;
const betasOf = (config: Config, name: string, fallback: [number, number]): [number, number] =>
  (config[name] as [number, number] | undefined) ?? fallback;

/** Of a square, `std` projects what the class is told by `squareIs`, and `reverse_std` the rows. */
function sideOf(type: unknown, [m, n]: readonly number[], squareIs: 'left' | 'right'): 'left' | 'right' {
  if (type === 'left' || type === 'right') return type;
  if (type === 'reverse_std') return m! < n! ? 'right' : 'left';
  return m! === n! ? squareIs : m! > n! ? 'right' : 'left';
}

/** One number per row (axis 1 is summed up) or per column. */
function normsAlong(x: Matrix, axis: 0 | 1): number[] {
  return axis === 1 ? x.map(row => Math.hypot(...row)) : normsAlong(t(x), 1);
}

function scaledBy(x: Matrix, factors: readonly number[], axis: 0 | 1): Matrix {
  return x.map((row, i) => row.map((a, j) => a * factors[axis === 1 ? i : j]!));
}

function limited(x: Matrix, state: Record<string, unknown>): Matrix {
  const norm = frobenius(x);
  const before = state['scaled'] as number | undefined;
  const limiter = before === undefined ? 1 : Math.max(norm / (before + 1e-8), 1.01) / 1.01;
  state['scaled'] = norm / limiter;
  return map(x, a => a / limiter);
}

/** The AdamW that Fira and APOLLO copy; `enlarge` makes the step of Adam's quotient on the projected gradient. */
function copiedAdamW(
  config: Config,
  project: (p: Parameter, step: number) => Projection,
  enlarge: (p: Parameter, projection: Projection, low: Matrix, quotient: Matrix) => Matrix,
): (p: Parameter) => void {
  const [beta1, beta2] = betasOf(config, 'betas', [0.9, 0.999]);
  const [lr, eps, decay] = [number(config, 'lr', 1e-3), number(config, 'eps', 1e-6), number(config, 'weight_decay', 0)];
  return p => {
    if (p.grad === null) return;
    const { state } = p;
    const step = (state['step'] as number | undefined) ?? 0;
    const projects = 'rank' in config && p.projectable;
    const projection = projects ? project(p, step) : null;
    if (projection !== null) p.recorded = projection.recorded;
    const low = projection === null ? p.grad : projection.down(p.grad);
    const m = zip((state['m'] as Matrix | undefined) ?? zeros(low), low, (a, g) => beta1 * a + (1 - beta1) * g);
    const v = zip((state['v'] as Matrix | undefined) ?? zeros(low), low, (a, g) => beta2 * a + (1 - beta2) * g * g);
    Object.assign(state, { step: step + 1, m, v });
    const corrected = (config['correct_bias'] ?? true) === true;
    const size = corrected ? (lr * Math.sqrt(1 - beta2 ** (step + 1))) / (1 - beta1 ** (step + 1)) : lr;
    const quotient = zip(m, v, (a, b) => a / (Math.sqrt(b) + eps));
    const direction = projection === null ? quotient : enlarge(p, projection, low, quotient);
    p.value = zip(p.value, direction, (w, d) => w - size * d);
    if (decay > 0) p.value = map(p.value, w => w - lr * decay * w);
  };
}

function refreshed(p: Parameter, step: number, gap: number, choose: () => Projection): Projection {
  if (step % gap === 0) p.state['projection'] = choose();
  return p.state['projection'] as Projection;
}

function fira(config: Config): (p: Parameter) => void {
  const { rank, update_proj_gap: gap, alpha, proj_type: type } = config as Record<string, number>;
  return copiedAdamW(
    config,
    (p, step) => refreshed(p, step, gap!, () => Projection.svd(sideOf(type, p.shape, 'right'), p.grad!, rank!)),
    (p, projection, low, quotient) => {
      const axis = quotient.length < quotient[0]!.length ? 0 : 1;
      const below = normsAlong(low, axis);
      const factors = normsAlong(quotient, axis).map((x, i) => x / (below[i]! + 1e-8));
      const back = (x: Matrix): Matrix => map(projection.up(x), a => a * alpha!);
      const rest = zip(p.grad!, back(low), (g, x) => g - x);
      return zip(back(quotient), limited(scaledBy(rest, factors, axis), p.state), (x, y) => x + y);
    },
  );
}

function apollo(config: Config, random: RandomSource): (p: Parameter) => void {
  const {
    rank,
    update_proj_gap: gap,
    proj_type: type,
    proj,
    scale,
    scale_type: per,
  } = config as Record<string, number>;
  const front = config['scale_front'] === true;
  return copiedAdamW(
    config,
    (p, step) =>
      refreshed(p, step, gap!, () => {
        const side = sideOf(type, p.shape, 'right');
        if ((proj as unknown) === 'svd') return Projection.svd(side, p.grad!, rank!);
        const dimension = side === 'left' ? p.shape[0]! : p.shape[1]!;
        return new Projection(side, random.matrix(dimension, rank!, 1 / Math.sqrt(rank!)));
      }),
    (p, _projection, low, quotient) => {
      const axis = p.shape[0]! < p.shape[1]! ? 0 : 1;
      const below = normsAlong(low, axis);
      const whole = frobenius(quotient) / (frobenius(low) + 1e-8);
      const factors = normsAlong(quotient, axis).map((x, i) => x / (below[i]! + 1e-8));
      let scaled = (per as unknown) === 'channel' ? scaledBy(p.grad!, factors, axis) : map(p.grad!, g => g * whole);
      if (front) scaled = map(scaled, x => x * Math.sqrt(scale!));
      if (config['disable_nl'] !== true) scaled = limited(scaled, p.state);
      return front ? scaled : map(scaled, x => x * Math.sqrt(scale!));
    },
  );
}

function ldAdam(config: Config): (p: Parameter) => void {
  const [beta1, beta2] = betasOf(config, 'betas', [0.908, 0.99]);
  const [lr, eps, decay] = [number(config, 'lr', 1e-3), number(config, 'eps', 1e-8), number(config, 'weight_decay', 0)];
  const [rank, rho] = [number(config, 'rank', 16), number(config, 'rho', 0.908)];
  const feedback = (config['error_feedback'] ?? true) === true;
  return p => {
    const { state } = p;
    const done = (state['step'] as number | undefined) ?? 0;
    state['step'] = done + 1;
    const adam = (m: Matrix, v: Matrix): Matrix =>
      zip(m, v, (a, b) => a / (1 - beta1 ** (done + 1)) / (Math.sqrt(b / (1 - beta2 ** (done + 1))) + eps));
    const apply = (direction: Matrix): void => {
      p.value = zip(p.value, direction, (w, d) => (1 - lr * decay) * w - lr * d);
    };
    if (!p.projectable) {
      const m = zip(
        (state['m'] as Matrix | undefined) ?? zeros(p.grad!),
        p.grad!,
        (a, g) => beta1 * a + (1 - beta1) * g,
      );
      const v = zip(
        (state['v'] as Matrix | undefined) ?? zeros(p.grad!),
        p.grad!,
        (a, g) => beta2 * a + (1 - beta2) * g * g,
      );
      Object.assign(state, { m, v });
      apply(adam(m, v));
      return;
    }
    const side = sideOf(config['proj_type'] ?? 'std', p.shape, 'left');
    const error = state['error'] as Matrix | undefined;
    const grad = feedback && error !== undefined ? zip(p.grad!, error, (g, e) => g + e) : p.grad!;
    let projection: Projection;
    let previous = state['projection'] as Projection | undefined;
    if (previous === undefined) {
      projection = Projection.svd(side, grad, rank);
      previous = new Projection(side, zeros(projection.basis));
    } else {
      const b = zip(previous.up(state['m'] as Matrix), grad, (m, g) => (rho * m) / (1 - beta1 ** done) + (1 - rho) * g);
      const [near, far] = side === 'left' ? [b, t(b)] : [t(b), b];
      projection = new Projection(side, gramSchmidt(times(near, times(far, previous.basis))));
    }
    const low = projection.down(grad);
    const m = (state['m'] as Matrix | undefined) ?? zeros(low);
    let v = (state['v'] as Matrix | undefined) ?? zeros(low);
    const change = times(t(projection.basis), previous.basis);
    const moved = (x: Matrix, by: Matrix): Matrix => (side === 'left' ? times(by, x) : times(x, t(by)));
    const carried = moved(m, change);
    if (feedback) {
      const rest = zip(grad, projection.up(low), (g, x) => g - x);
      const lost = zip(previous.up(m), projection.up(carried), (x, y) => (beta1 / (1 - beta1)) * (x - y));
      state['error'] = zip(rest, lost, (x, y) => x + y);
    }
    if (done > 0) {
      const [c1, c2] = [1 - beta1 ** done, 1 - beta2 ** done];
      const squares = map(change, x => x * x);
      const variance = zip(v, m, (a, b) => a / c2 - (b / c1) ** 2);
      v = zip(moved(variance, squares), carried, (a, b) => Math.abs((a + (b / c1) ** 2) * c2));
    }
    const nextM = zip(carried, low, (a, g) => beta1 * a + (1 - beta1) * g);
    const nextV = zip(v, low, (a, g) => beta2 * a + (1 - beta2) * g * g);
    Object.assign(state, { m: nextM, v: nextV, projection });
    p.recorded = projection.recorded;
    apply(projection.up(adam(nextM, nextV)));
  };
}

function scale(config: Config): (p: Parameter) => void {
  const lr = number(config, 'lr', 1e-4);
  const [decay, momentum] = [number(config, 'wd', 0), number(config, 'momentum', 0.9)];
  const [beta1, beta2] = betasOf(config, 'adamw_betas', [0.9, 0.999]);
  const [adamLr, eps] = [number(config, 'adam_lr', lr), number(config, 'adamw_eps', 1e-8)];
  return p => {
    if (p.grad === null) return;
    const { state } = p;
    if (!p.projectable) {
      const step = ((state['step'] as number | undefined) ?? 0) + 1;
      const m = zip((state['m'] as Matrix | undefined) ?? zeros(p.grad), p.grad, (a, g) => a + (1 - beta1) * (g - a));
      const v = zip(
        (state['v'] as Matrix | undefined) ?? zeros(p.grad),
        p.grad,
        (a, g) => a + (1 - beta2) * (g * g - a),
      );
      Object.assign(state, { step, m, v });
      const correction = (1 - beta1 ** step) / Math.sqrt(1 - beta2 ** step);
      const direction = zip(m, v, (a, b) => a / (eps + Math.sqrt(b)));
      p.value = zip(p.value, direction, (w, d) => (1 - adamLr * decay) * w - (adamLr / correction) * d);
      return;
    }
    let g = p.grad;
    if (p.name.includes('lm_head')) {
      g = zip((state['m'] as Matrix | undefined) ?? zeros(g), g, (a, b) => a + (1 - momentum) * (b - a));
      state['m'] = g;
    }
    const axis = p.name.includes('embed_tokens') ? 0 : 1;
    const count = axis === 1 ? g[0]!.length : g.length;
    const factors = normsAlong(g, axis).map(norm => 1 / Math.max(norm / Math.sqrt(count), 1e-8));
    const direction = scaledBy(g, factors, axis);
    p.value = zip(p.value, direction, (w, d) => (1 - lr * decay) * w - lr * d);
  };
}

const CLASSES: Readonly<Record<string, (config: Config, random: RandomSource) => (p: Parameter) => void>> = {
  'Fira AdamW': fira,
  'APOLLO AdamW': apollo,
  'LDAdam LDAdamW': ldAdam,
  'SCALE SCALE': scale,
};

const SHAPES: Readonly<Record<string, readonly number[]>> = { norm: [3], w0: [6, 4], w1: [3, 5], w2: [4, 4] };
const OF_SCALE: Readonly<Record<string, readonly number[]>> = {
  norm: [3],
  embed_tokens: [5, 3],
  w1: [3, 4],
  'model.lm_head': [5, 3],
};

function simulate(official: string, config: Config, seed: number): object {
  const random = new RandomSource(seed);
  const parameters: Parameter[] = Object.entries(official.startsWith('SCALE') ? OF_SCALE : SHAPES).map(
    ([name, shape]) => {
      const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : [shape[0]!, shape[1]!];
      const value = random.matrix(rows, columns);
      return { name, shape, projectable: shape.length === 2, value, grad: null, recorded: null, state: {} };
    },
  );
  const params = parameters.map(({ name, shape, projectable, value }) => ({
    name,
    shape,
    projectable,
    init: value.flat(),
  }));
  const step = CLASSES[official]!(config, random);
  const steps = Array.from({ length: 7 }, (_, k) => {
    parameters.forEach((p, i) => {
      // In the small rows of SCALE's gradients the least size counts.
      const size = official.startsWith('SCALE') && k === 3 ? 1e-8 : 1;
      const grad = random.matrix(p.value.length, p.value[0]!.length, size);
      p.grad = official.startsWith('LDAdam') || i !== 1 || k !== 2 ? grad : null;
    });
    for (const p of parameters) step(p);
    return {
      grads: parameters.map(p => p.grad?.flat() ?? null),
      params: parameters.map(p => p.value.flat().map(Math.fround)),
      subspace: parameters.map(p => p.recorded),
    };
  });
  return { name: `${official} ${JSON.stringify(config)}`, official, config, params, steps };
}

const FIRA = { lr: 0.01, rank: 2, update_proj_gap: 3, alpha: 0.5, proj_type: 'std' };
const APOLLO = {
  lr: 0.01,
  rank: 2,
  update_proj_gap: 3,
  scale: 4,
  scale_type: 'channel',
  proj: 'random',
  proj_type: 'std',
};
const LDADAM = { lr: 0.01, rank: 2 };

const RUNS: readonly (readonly [string, Config])[] = [
  ['Fira AdamW', { lr: 0.01, weight_decay: 0.1 }],
  ['Fira AdamW', FIRA],
  ['Fira AdamW', { ...FIRA, proj_type: 'reverse_std', eps: 1e-3 }],
  ['Fira AdamW', { ...FIRA, alpha: 1.5 }],
  ['Fira AdamW', { ...FIRA, proj_type: 'left', betas: [0.8, 0.95] }],
  ['Fira AdamW', { ...FIRA, proj_type: 'right', rank: 1, correct_bias: false, weight_decay: 0.1 }],
  ['APOLLO AdamW', { lr: 0.01, correct_bias: false, no_deprecation_warning: true }],
  ['APOLLO AdamW', APOLLO],
  ['APOLLO AdamW', { ...APOLLO, rank: 5, scale_front: true, weight_decay: 0.1 }],
  ['APOLLO AdamW', { ...APOLLO, scale_type: 'tensor', proj_type: 'reverse_std', eps: 1e-3 }],
  ['APOLLO AdamW', { ...APOLLO, scale_type: 'tensor', proj_type: 'left', proj: 'svd', betas: [0.8, 0.95] }],
  ['APOLLO AdamW', { ...APOLLO, proj: 'svd', disable_nl: true, correct_bias: false }],
  ['LDAdam LDAdamW', LDADAM],
  ['LDAdam LDAdamW', { ...LDADAM, error_feedback: false, weight_decay: 0.1 }],
  ['LDAdam LDAdamW', { ...LDADAM, rank: 1, rho: 0.5, betas: [0.8, 0.95], eps: 1e-3 }],
  ['LDAdam LDAdamW', { ...LDADAM, proj_type: 'reverse_std', proj_method: 'power_iteration' }],
  ['LDAdam LDAdamW', { ...LDADAM, proj_type: 'left', rho: 0 }],
  ['LDAdam LDAdamW', { ...LDADAM, proj_type: 'right' }],
  ['SCALE SCALE', { lr: 0.01 }],
  [
    'SCALE SCALE',
    { lr: 0.01, wd: 0.1, momentum: 0.5, adam_lr: 0.02, adamw_betas: [0.8, 0.95], adamw_eps: 1e-3, debug: true },
  ],
];

export const SIMULATED_RELATIVES: readonly TrajectoryCase[] = RUNS.map(([official, config], i) =>
  checkCase(simulate(official, config, 100 + i)),
);
