import { sizeOf, soleSite } from '@frugaljs/core';
import { PROJECTORS } from '@frugaljs/projectors';
import { describeProjectorLaws } from '@frugaljs/testing/vitest';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { isTriedAlone } from '../../../tools/test-support/rule-catalog.js';
import { PROJECTOR_CLAIMS } from './claims.js';
import { normal } from './tensors.js';

for (const [name, { factory, claims }] of Object.entries(PROJECTOR_CLAIMS)) {
  describeProjectorLaws(factory, { ...claims, name, backends: BACKENDS });
}

describe.each(Object.keys(PROJECTORS))('%s', kind => {
  it('is tried', () => {
    const listed = Object.values(PROJECTOR_CLAIMS).some(({ kinds }) => kinds.includes(kind));
    expect(listed || isTriedAlone(import.meta.dirname, `describeProjectorLaws(${kind}`)).toBe(true);
  });

  it('works on its example in the table', () => {
    const { create, example } = PROJECTORS[kind]!;
    const site = soleSite('parameter', [8, 12]);
    const projector = create(example);
    projector.check?.(site);
    const reduced = projector.reducedShape(site, 0);
    expect(reduced === null || reduced.length > 0).toBe(true);
    expect(projector.kind).toBe(kind);
    expect(create(JSON.parse(JSON.stringify(projector.options))).options).toEqual(projector.options);
  });
});

// The laws allow rounding here, but a projector that keeps everything need not compute anything.
describe.each(BACKENDS)('the whole space on %s', backend => {
  useBackend(backend);

  it.each(Object.keys(PROJECTORS).filter(kind => typeof PROJECTORS[kind]!.example['density'] === 'number'))(
    '%s is the identity to the last bit',
    kind => {
      for (const shape of [
        [5, 5],
        [4, 7],
        [7, 4],
        [1, 6],
        [6, 1],
      ]) {
        const site = soleSite('parameter', shape);
        const projector = PROJECTORS[kind]!.create({ density: 1 });
        // The whole of a sketch is a sketch.
        if (!projector.traits.orthonormal) continue;
        const reduced = projector.reducedShape(site, 0);
        if (reduced === null || sizeOf(reduced) !== sizeOf(shape)) continue;
        const g = normal(shape, 'gradient');
        const basis = projector.fit(g, null, { site, refreshIndex: 0 });
        const whole = projector.up(projector.down(g, basis, site), basis, site);
        expect(Array.from(whole.dataSync())).toEqual(Array.from(g.dataSync()));
      }
    },
  );
});
