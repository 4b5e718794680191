import { type Graph, Tracer } from '@frugaljs/core';

/** How decoupled weight decay enters the update of a parameter w with direction d, rate ηs and keep = 1 - ηλ. */
export type DecayForm = 'none' | 'before' | 'after' | 'only';

/** w ← w - rate·d, w ← keep·w - rate·d, w ← keep·(w - rate·d), or, without a direction, w ← keep·w. */
export const UPDATE_GRAPHS: Readonly<Record<DecayForm, Graph>> = {
  none: updateGraph((w, d, rate) => w.sub(d.mul(rate))),
  before: updateGraph((w, d, rate, keep) => w.mul(keep).sub(d.mul(rate))),
  after: updateGraph((w, d, rate, keep) => w.sub(d.mul(rate)).mul(keep)),
  only: updateGraph((w, _d, _rate, keep) => w.mul(keep)),
};

type Value = ReturnType<Tracer['input']>;

function updateGraph(update: (w: Value, d: Value, rate: Value, keep: Value) => Value): Graph {
  const tracer = new Tracer();
  const [w, d] = [tracer.input('w', 'element'), tracer.input('d', 'element')];
  return tracer.graph({ w: update(w, d, tracer.scalar('rate'), tracer.scalar('keep')) }, { w: 'element' });
}
