import { UnknownNameError } from '@frugaljs/core';
import type { BlockOrder } from '@frugaljs/projectors';
import type { OfficialSide } from '../subspaces/side.js';
import { BASE_DEFAULTS, BASE_KINDS, type BaseRule, readBaseRule } from './base-rule.js';
import { ConfigReader } from './config-reader.js';

/** How a projected class of FRUGAL's code picks the subspace. */
export type Projection =
  | { readonly kind: 'Galore'; readonly side: OfficialSide; readonly type: 'svd' | 'random' | 'randperm' }
  | { readonly kind: 'Coord'; readonly choice: 'columns' | 'rows' | 'randk' }
  | { readonly kind: 'Block'; readonly order: Exclude<BlockOrder, 'shuffled'> };

/** The arguments that all projected classes have. */
export interface Projected {
  readonly projection: Projection;
  readonly density: number;
  readonly updateGap: number;
  readonly resetStatistics: boolean;
  readonly inactiveRule: 'no' | 'sgd' | 'sign_sgd';
  readonly inactiveScale: number;
  readonly scale: number;
}

export interface FrugalConfig {
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
export function readFrugalConfig(className: string, values: Readonly<Record<string, unknown>>): FrugalConfig {
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
