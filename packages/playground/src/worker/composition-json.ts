import { type ComposedOptimizer, compose, compositionFromJson } from '@frugaljs/composer';
import { InvalidOptionError, type Json, requireKnownKeys } from '@frugaljs/core';

const KEYS = [
  'learningRate',
  'groups',
  'clip',
  'accumulate',
  'seed',
  'onNonFinite',
  'onMissingGradient',
  'kernels',
] as const;
const PARTS = ['projector', 'rule', 'combine'];

/**
 * Builds the optimizer that a hand-written composition describes.
 *
 * @throws InvalidOptionError, or another error of `@frugaljs/core`, that says what is wrong and where.
 */
export function composeWritten(text: string): ComposedOptimizer {
  const json = parse(text);
  if (!isObject(json)) throw wrong('composition', json, 'an object such as { "learningRate": 0.001, "groups": [ … ] }');
  requireKnownKeys('composition', json, KEYS);
  const { groups, learningRate, accumulate = 1 } = json;
  if (typeof learningRate !== 'number') requirePart('learningRate', learningRate, 'a number or a schedule');
  if (!Array.isArray(groups) || groups.length === 0) throw wrong('groups', groups, 'a list of at least one group');
  for (const [i, group] of groups.entries()) {
    if (!isObject(group)) throw wrong(`groups[${i}]`, group, 'an object such as { "use": { "kind": "adamW", … } }');
    if (group['use'] !== undefined) requireRule(`groups[${i}].use`, group['use']);
  }
  // The page draws one batch for every step.
  if (accumulate !== 1) throw wrong('accumulate', accumulate, '1, since every step here makes an update');
  return compose(compositionFromJson(json as Json));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidOptionError({
      parameter: 'composition',
      found: 'text that is not',
      expected: 'JSON',
      advice: `${(error as Error).message}.`,
    });
  }
}

/** A rule, or a subspace with all the parts inside it. */
function requireRule(path: string, rule: unknown): void {
  const { kind, options } = requirePart(path, rule, 'a rule');
  if (kind !== 'subspace') return;
  for (const part of PARTS) {
    if (options[part] === undefined && part === 'combine') continue;
    const inner = `${path}.options.${part}`;
    if (part === 'projector') requirePart(inner, options[part], 'a projector');
    if (part === 'rule') requireRule(inner, options[part]);
    if (part !== 'combine') continue;
    const combine = requirePart(inner, options[part], 'a combine');
    if (combine.kind === 'residual') requireRule(`${inner}.options.rule`, combine.options['rule']);
  }
}

function requirePart(path: string, part: unknown, what: string): { kind: string; options: Record<string, unknown> } {
  if (isObject(part) && typeof part['kind'] === 'string' && isObject(part['options'])) return part as never;
  throw wrong(path, part, `${what} as { "kind": "…", "options": { … } }`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(parameter: string, found: unknown, expected: string): InvalidOptionError {
  return new InvalidOptionError({ parameter, found: found === undefined ? 'nothing' : found, expected });
}
