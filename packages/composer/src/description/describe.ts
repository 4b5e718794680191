import type { Described, Json } from '@frugaljs/core';

/** The JSON of a part: its kind and options, without its functions. */
export function describe(part: Described): { readonly kind: string; readonly options: Described['options'] } {
  return { kind: part.kind, options: part.options };
}

/** A part as a line of text, for example `subspace(columns(density 0.25) → adamW; residual(signSgd); every 200, reset)`. */
export function sentence(part: Described): string {
  const { options } = part;
  if (part.kind === 'subspace') {
    const [projector, rule, combine] = [options['projector'], options['rule'], options['combine']].map(sentenceOf);
    const every = (options['refresh'] as { every: number | null }).every;
    return `subspace(${projector} → ${rule}; ${combine}; every ${every ?? '∞'}, ${options['onRefresh']})`;
  }
  const shown = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (isDescribed(value)) return [sentence(value)];
    return [`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
  return shown.length === 0 ? part.kind : `${part.kind}(${shown.join(', ')})`;
}

function sentenceOf(json: Json | undefined): string {
  return isDescribed(json) ? sentence(json) : JSON.stringify(json);
}

function isDescribed(json: Json | undefined): json is { kind: string; options: Described['options'] } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && 'kind' in json && 'options' in json;
}
