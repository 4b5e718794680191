import type { Described, Json } from '@frugaljs/core';
import { defaultOptions } from './registry.js';

/**
 * A part as a line of text, for example `subspace(columns(density 0.25) → adamW; residual(signSgd); every 200, reset)`.
 * Options at their defaults are left out, except sizes.
 */
export function sentence(part: Described): string {
  const { kind, options } = part;
  if (kind === 'subspace') {
    const [projector, rule, combine] = [options['projector'], options['rule'], options['combine']].map(sentenceOf);
    const { every, stagger } = options['refresh'] as { every: number | null; stagger?: boolean };
    return `subspace(${projector} → ${rule}; ${combine}; every ${every ?? '∞'}${stagger ? ' staggered' : ''}, ${options['onRefresh']})`;
  }
  const defaults: Described['options'] = kind === 'residual' ? { scale: 1, tolerance: 1e-6 } : defaultOptions(kind);
  const shown = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (isDescribed(value)) return [sentence(value)];
    const isSize = name === 'density' || name === 'rank';
    if (!isSize && JSON.stringify(value) === JSON.stringify(defaults[name])) return [];
    return [`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
  return shown.length === 0 ? kind : `${kind}(${shown.join(', ')})`;
}

function sentenceOf(json: Json | undefined): string {
  return isDescribed(json) ? sentence(json) : JSON.stringify(json);
}

function isDescribed(json: Json | undefined): json is { kind: string; options: Described['options'] } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && 'kind' in json && 'options' in json;
}
