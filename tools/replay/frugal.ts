// The classes of FRUGAL's code as compositions: the plan, the arguments it is read from, and the rules.
import { drop, type Group, residual, subspace } from '@frugaljs/composer';
import {
  type Combine,
  type ExpressionRule,
  expressionRule,
  type Projector,
  type Rule,
  UnknownNameError,
  type Value,
} from '@frugaljs/core';
import type { BlockOrder } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adamW, lion, sgdm } from '@frugaljs/state-full';
import { ConfigReader, type Plan, type PlanOptions } from './official-class.js';
import { groupClock, Recording, requireNoSubspaces } from './recording.js';
import {
  denseFactors,
  type OfficialSide,
  orderedBlocks,
  type RecordedBlock,
  rankOfDensity,
  recordedBases,
  recordedBlocks,
  recordedCoordinates,
  recordedIndices,
  requireMatrix,
  requirePermutations,
  resolveSide,
  singularVectors,
} from './subspaces.js';
import type { TrajectoryCase } from './trajectory-file.js';

/** Parameters that can share a projector. */
interface Share {
  readonly names: readonly string[];
  readonly projector: Projector;
}

/** Expresses a class of FRUGAL's code as one composition. */
export function planFrugal(className: string, trajectory: TrajectoryCase, options: PlanOptions): readonly Plan[] {
  const config = readFrugalConfig(className, trajectory.config);
  const { lr: learningRate, projected } = config;
  const parameters = [...trajectory.params.keys()];
  if (projected === null) {
    requireNoSubspaces(trajectory);
    return [{ parameters, composition: { learningRate, groups: [plainClass(config)] } }];
  }

  const plain = trajectory.params.filter(({ projectable }) => !projectable);
  const groups: Group[] = [];
  // Outside the subspaces, too, the projected classes decay W itself and start momentum from it.
  const { base, weightDecay } = config;
  if (plain.length > 0) {
    groups.push({ match: plain.map(({ name }) => name), use: ruleFor(base, 'parameter'), weightDecay, optional: true });
  }
  if (plain.length === parameters.length) return [{ parameters, composition: { learningRate, groups } }];

  const { projection, updateGap } = projected;
  const isBlock = projection.kind === 'Block';
  const resets = projected.resetStatistics || isBlock;
  const { refreshOfStep, updatesBefore } = groupClock(trajectory, updateGap, resets, !isBlock);
  const blocks = trajectory.params.flatMap((parameter, i) =>
    parameter.projectable
      ? [{ parameter, recording: new Recording(trajectory, i, parameter.name, refreshOfStep) }]
      : [],
  );
  for (const { names, projector } of shares(projected, blocks, trajectory, options)) {
    const rule = subspace({
      projector,
      rule: ruleFor(base, isBlock ? 'parameter' : 'gradient'),
      combine: combineOf(projected),
      refresh: { every: updateGap },
      onRefresh: resets ? 'reset' : 'keep',
    });
    groups.push({ match: names, use: rule, lrScale: projected.scale, weightDecay, optional: true });
  }
  return [{ parameters, composition: { learningRate, groups }, updatesBefore }];
}

/** The plain SGD adds its decay to the gradient; AdamW and Lion decay W itself. */
function plainClass({ base, weightDecay }: FrugalConfig): Group {
  if (base.kind === 'SGD') return { use: ruleFor(base, 'parameter', weightDecay) };
  return { use: ruleFor(base, 'parameter'), weightDecay };
}

/** The official code takes the sign of every residual as it is, rounding noise included. */
function combineOf({ inactiveRule, inactiveScale }: Projected): Combine {
  if (inactiveRule === 'no') return drop();
  return residual(inactiveRule === 'sgd' ? sgd() : signSgd(), { scale: inactiveScale, tolerance: 0 });
}

function shares(
  { projection, density, resetStatistics }: Projected,
  blocks: readonly RecordedBlock[],
  { params, steps }: TrajectoryCase,
  options: PlanOptions,
): readonly Share[] {
  const names = blocks.map(({ parameter }) => parameter.name);
  switch (projection.kind) {
    case 'Block': {
      const { order } = projection;
      const inOneStep = params.every(({ projectable }, i) => !projectable || steps[0]!.grads[i] !== null);
      const projector =
        order === 'random' ? recordedBlocks(density, blocks) : orderedBlocks(density, order, blocks, inOneStep);
      return [{ names, projector }];
    }
    case 'Coord': {
      const indices = recordedIndices(projection.choice, density, blocks);
      return [{ names, projector: recordedCoordinates(projection.choice, indices, !resetStatistics) }];
    }
    case 'Galore':
      // Side and rank depend on the shape, so every matrix gets a projector of its own.
      return blocks.map(({ parameter, recording }) => {
        const { type } = projection;
        const shape = requireMatrix(parameter);
        const side = resolveSide(projection.side, shape);
        const factors = denseFactors(side, rankOfDensity(density, side, shape), type, shape);
        const { name } = parameter;
        if (type === 'randperm') requirePermutations(factors, recording, name);
        const fromGradient = type === 'svd' && !options.recordedBases;
        const projector = fromGradient
          ? singularVectors(factors, recording, !resetStatistics)
          : recordedBases(factors, recording, name);
        return { names: [name], projector };
      });
  }
}

/** How a projected class of FRUGAL's code picks the subspace. */
type Projection =
  | { readonly kind: 'Galore'; readonly side: OfficialSide; readonly type: 'svd' | 'random' | 'randperm' }
  | { readonly kind: 'Coord'; readonly choice: 'columns' | 'rows' | 'randk' }
  | { readonly kind: 'Block'; readonly order: Exclude<BlockOrder, 'shuffled'> };

/** The arguments that all projected classes have. */
interface Projected {
  readonly projection: Projection;
  readonly density: number;
  readonly updateGap: number;
  readonly resetStatistics: boolean;
  readonly inactiveRule: 'no' | 'sgd' | 'sign_sgd';
  readonly inactiveScale: number;
  readonly scale: number;
}

interface FrugalConfig {
  readonly base: BaseRule;
  readonly lr: number;
  readonly weightDecay: number;
  /** `null` for the classes that do not project. */
  readonly projected: Projected | null;
}

const PROJECTIONS = ['Galore', 'Coord', 'Block'] as const;

/**
 * Reads the arguments of a class of FRUGAL's code.
 *
 * @throws UnknownNameError for a class that it does not have.
 * @throws InvalidOptionError for an argument or a value that the class does not take.
 */
function readFrugalConfig(className: string, values: Readonly<Record<string, unknown>>): FrugalConfig {
  const projection = PROJECTIONS.find(name => className.startsWith(name));
  const kind = BASE_KINDS.find(name => className === `${projection ?? ''}${name}`);
  if (kind === undefined) {
    throw new UnknownNameError({
      parameter: 'official',
      found: `unsupported class FRUGAL ${className}`,
      expected: `FRUGAL ${BASE_KINDS.join(', ')}, or one of these after ${PROJECTIONS.join(', ')}`,
    });
  }
  const config = new ConfigReader(`FRUGAL ${className}`, values);
  const defaults = BASE_DEFAULTS[kind];
  const read = {
    base: readBaseRule(kind, config),
    lr: config.number('lr', defaults.lr, '[0, Infinity)'),
    weightDecay: config.number('weight_decay', defaults.weightDecay, '[0, Infinity)'),
    projected: projection === undefined ? null : readProjected(projection, kind, config),
  };
  config.finish();
  return read;
}

function readProjected(name: Projection['kind'], kind: BaseRule['kind'], config: ConfigReader): Projected {
  // Changes no number: whether the state is made from an example or zeroed in place, its values are the same. (Only
  // FRUGAL's SGD depends on it, which without an example fails at its second refresh.)
  config.boolean('_example_state_init', kind === 'SGD');
  return {
    projection: readProjection(name, config),
    density: config.number('density', 0.25, '[0, 1]'),
    updateGap: config.integer('update_gap', 200, 1),
    resetStatistics: config.boolean('reset_statistics', true),
    inactiveRule: config.oneOf('inactive_update_rule', 'sign_sgd', ['no', 'sgd', 'sign_sgd']),
    inactiveScale: config.number('inactive_lr_scale', 1, '[0, Infinity)'),
    scale: config.number('proj_params_lr_scale', 1, '[0, Infinity)'),
  };
}

function readProjection(kind: Projection['kind'], config: ConfigReader): Projection {
  switch (kind) {
    case 'Galore':
      return {
        kind,
        side: config.oneOf('proj_side', 'std', ['std', 'reverse_std', 'right', 'left', 'full']),
        type: config.oneOf('proj_type', 'svd', ['svd', 'random', 'randperm']),
      };
    case 'Coord':
      return { kind, choice: config.oneOf('coord_choice', 'columns', ['columns', 'rows', 'randk']) };
    case 'Block': {
      const orders = ['random', 'ascending', 'descending', 'mirror'] as const;
      return { kind, order: config.oneOf('block_order', 'random', orders) };
    }
  }
}

/** The update rule of an official class and its arguments. */
type BaseRule = AdamWRule | LionRule | SgdRule;

interface AdamWRule {
  readonly kind: 'AdamW';
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly correctBias: boolean;
}

interface LionRule {
  readonly kind: 'Lion';
  readonly betas: readonly [number, number];
}

interface SgdRule {
  readonly kind: 'SGD';
  readonly momentum: number;
  readonly dampening: number;
  readonly nesterov: boolean;
  readonly sign: boolean;
}

const BASE_KINDS = ['AdamW', 'Lion', 'SGD'] as const;

/** Official defaults of the learning rate and the weight decay. */
const BASE_DEFAULTS = {
  AdamW: { lr: 1e-3, weightDecay: 0.01 },
  Lion: { lr: 1e-4, weightDecay: 0 },
  SGD: { lr: 1e-3, weightDecay: 0 },
} as const;

/** Reads the arguments of FRUGAL's AdamW, Lion or SGD. */
function readBaseRule(kind: BaseRule['kind'], config: ConfigReader): BaseRule {
  switch (kind) {
    case 'AdamW':
      // Says whether a warning is printed.
      config.boolean('no_deprecation_warning', false);
      return {
        kind,
        betas: config.pair('betas', [0.9, 0.999], '[0, 1)'),
        epsilon: config.number('eps', 1e-8, '[0, Infinity)'),
        correctBias: config.boolean('correct_bias', true),
      };
    case 'Lion':
      return { kind, betas: config.pair('betas', [0.9, 0.99], '[0, 1)') };
    case 'SGD': {
      const momentum = config.number('momentum', 0, '[0, Infinity)');
      const dampening = config.number('dampening', 0, '(-Infinity, Infinity)');
      const nesterov = config.boolean('nesterov', false);
      if (nesterov && (momentum === 0 || dampening !== 0)) {
        config.refuse('nesterov', 'false without momentum or with dampening, as the official class demands');
      }
      return { kind, momentum, dampening, nesterov, sign: config.boolean('sign_update', false) };
    }
  }
}

/**
 * The rule as frugal.js has it; what only the official code does comes from {@link officialSgd}.
 *
 * @param start What SGD's momentum buffer starts from.
 * @param coupledDecay λ of a weight decay that is added to the gradient; for SGD only.
 */
function ruleFor(base: BaseRule, start: BufferStart, coupledDecay = 0): Rule {
  switch (base.kind) {
    case 'AdamW': {
      const { betas, epsilon, correctBias } = base;
      return adamW({ beta1: betas[0], beta2: betas[1], epsilon, biasCorrection: correctBias });
    }
    case 'Lion':
      return lion({ beta1: base.betas[0], beta2: base.betas[1] });
    case 'SGD': {
      const { momentum, dampening, nesterov, sign } = base;
      // The library takes a momentum below 1 and a dampening from 0 to 1, the official class any.
      const known = momentum < 1 && dampening >= 0 && dampening <= 1;
      if (coupledDecay === 0 && momentum === 0) return sgdm({ momentum, sign });
      if (coupledDecay === 0 && start === 'gradient' && known) {
        return sgdm({ momentum, dampening, nesterov, sign, initial: 'firstGradient' });
      }
      return officialSgd(base, start, coupledDecay);
    }
  }
}

/**
 * What the momentum buffer is a copy of before the first step: the gradient (projected classes), or the parameter, a
 * slip of the official code in its plain and block-wise classes and wherever a parameter is not projected.
 */
type BufferStart = 'gradient' | 'parameter';

/**
 * SGD exactly as FRUGAL's code does it, for what the library deliberately does not offer:
 *
 *     G = g + λ W,   b ← μ b + (1 - δ) G with b₀ = W or G,   d = b   (Nesterov: G + μ b),   d ← sign(d) if asked for
 *
 * The buffer is zero before the first step and after every reset, which is when t = 1.
 */
function officialSgd(settings: SgdRule, start: BufferStart, coupledDecay: number): ExpressionRule {
  const { momentum, dampening, nesterov, sign } = settings;
  const described = { kind: 'officialSgd', options: { ...settings, start, coupledDecay } };
  const decayed = (g: Value, w: Value | undefined): Value => (coupledDecay === 0 ? g : g.add(w!.mul(coupledDecay)));
  const signed = (direction: Value): Value => (sign ? direction.sign() : direction);
  if (momentum === 0) {
    return expressionRule({
      ...described,
      reads: coupledDecay !== 0 ? ['parameter'] : [],
      state: () => ({}),
      step: ({ g, parameter }) => ({ direction: signed(decayed(g, parameter)) }),
    });
  }
  return expressionRule<'buffer', 'fresh'>({
    ...described,
    reads: coupledDecay !== 0 || start === 'parameter' ? ['parameter'] : [],
    state: () => ({ buffer: { extent: 'element' } }),
    scalars: t => ({ fresh: t === 1 ? 1 : 0 }),
    step: ({ g, parameter, buffer, fresh }) => {
      const gradient = decayed(g, parameter);
      const previous = buffer.add((start === 'parameter' ? parameter! : gradient).mul(fresh));
      const next = previous.mul(momentum).add(gradient.mul(1 - dampening));
      return { direction: signed(nesterov ? gradient.add(next.mul(momentum)) : next), buffer: next };
    },
  });
}
