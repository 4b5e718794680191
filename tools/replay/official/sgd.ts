import { type ExpressionRule, expressionRule, type Value } from '@frugaljs/core';
import type { SgdRule } from './base-rule.js';

/**
 * What the momentum buffer is a copy of before the first step: the gradient (projected classes), or the parameter, a
 * slip of the official code in its plain and block-wise classes and wherever a parameter is not projected.
 */
export type BufferStart = 'gradient' | 'parameter';

/**
 * SGD exactly as FRUGAL's code does it, for what the library deliberately does not offer:
 *
 *     G = g + λ W,   b ← μ b + (1 - δ) G with b₀ = W or G,   d = b   (Nesterov: G + μ b),   d ← sign(d) if asked for
 *
 * The buffer is zero before the first step and after every reset, which is when t = 1.
 */
export function officialSgd(settings: SgdRule, start: BufferStart, coupledDecay: number): ExpressionRule {
  const { momentum, dampening, nesterov, sign } = settings;
  const described = { kind: 'officialSgd', options: { ...settings, start, coupledDecay } };
  const decayed = (g: Value, w: Value | undefined): Value => (coupledDecay === 0 ? g : g.add(w!.mul(coupledDecay)));
  const signed = (direction: Value): Value => (sign ? direction.sign() : direction);
  if (momentum === 0) {
    return expressionRule({
      ...described,
      readsParameter: coupledDecay !== 0,
      state: () => ({}),
      step: ({ g, parameter }) => ({ direction: signed(decayed(g, parameter)) }),
    });
  }
  return expressionRule<'buffer', 'fresh'>({
    ...described,
    readsParameter: coupledDecay !== 0 || start === 'parameter',
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
