import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import * as projectors from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import {
  checkCombine,
  checkFile,
  checkModule,
  checkProjector,
  checkRule,
  explainFailure,
  formatReport,
} from '@frugaljs/testing';
import { mul, setBackend, type Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import '../../../tools/test-support/backends.js';

beforeAll(async () => {
  await setBackend('cpu');
});

describe('checkModule', () => {
  it('finds the factories among the exports and uses what the module claims', async () => {
    const laws = { columns: { parameters: 'at least 1 axis' as const }, sgd: { descent: 'gradient' as const } };
    const reports = await checkModule(
      { columns: projectors.columns, sgd, laws, limit: 3, text: () => 'no part' },
      { numRuns: 4 },
    );
    expect(reports.map(({ fixture, passed }) => [fixture, passed])).toEqual([
      ['columns', true],
      ['sgd', true],
    ]);
    expect(reports[1]!.results.find(({ law }) => law === 'descent')?.status).toBe('passed');
  });

  it('refuses claims about what is not checked', async () => {
    const { columns } = projectors;
    const picky = ({ size }: { readonly size: number }) => {
      if (size === undefined) throw new Error('no size');
      return columns();
    };
    for (const [exports, message] of [
      [{ columns, laws: { colums: {} } }, /laws: colums \(no export\), expected names of exported factories: columns/],
      [{ columns, limit: 3, laws: { limit: {} } }, /limit \(no function\)/],
      [{ columns, picky, laws: { picky: {} } }, /picky \(called with \{\} it throws Error: no size\)/],
      [{ columns, laws: { columns: { randum: false } } }, /randum: expected one of .*Did you mean random\?/],
      [{ sgd, laws: { sgd: { bond: 1 } } }, /checkRule\.bond: expected one of .*Did you mean bound\?/],
    ] as const) {
      await expect(checkModule(exports, { numRuns: 1 })).rejects.toThrow(message);
    }
  });

  it('says so when there is nothing to check', async () => {
    await expect(checkModule({ limit: 3 })).rejects.toThrow(/exports limit, expected a function/);
  });

  it('reads a file', async ({ task }) => {
    const file = new URL(`./${task.id}.tmp.mjs`, pathToFileURL(import.meta.filename));
    writeFileSync(
      file,
      "export const double = () => ({ kind: 'double', options: {}, type: 'expression', state: () => ({}), step: ({ g }) => ({ direction: g.mul(2) }) });\n",
    );
    onTestFinished(async () => (await import('node:fs')).rmSync(file));
    const [report] = await checkFile(file, { numRuns: 4 });
    expect(report).toMatchObject({ fixture: 'double', passed: true });
  });
});

describe('a failure', () => {
  const scaled = ({ density }: { readonly density: number }): ReturnType<typeof projectors.columns> => {
    const right = projectors.columns({ density });
    const up = (x: Tensor, ...rest: [Parameters<typeof right.up>[1], Parameters<typeof right.up>[2]]): Tensor => {
      const lifted = right.up(x, ...rest);
      const result = mul(lifted, 2);
      lifted.dispose();
      return result;
    };
    return { ...right, up };
  };

  it('names the law, the smallest shape and the numbers, and repeats with its seed', async () => {
    const report = await checkProjector(scaled, { seed: 5 });
    const broken = report.results.find(({ status }) => status === 'failed')!;
    expect(broken.law).toBe('down ∘ up = id');
    expect(broken.counterexample).toMatchObject({ shape: [1, 1] });
    expect(broken.message).toMatch(/^down\(up\(X\)\): is .*, expected .*\(difference .*, allowed .*\)$/);
    expect(explainFailure(broken, report.fixture)).toContain('repeat with { seed: 5 }');
    expect(formatReport(report)).toContain('it follows from "down ∘ up = id", which is broken');
    expect(await checkProjector(scaled, { seed: 5 })).toEqual(report);
    expect((await checkProjector(scaled, { seed: 6 })).passed).toBe(false);
  });

  it('leaves out what follows from it, also by way of laws that were left out', async () => {
    const lost = (options: { readonly density: number }): ReturnType<typeof projectors.columns> => ({
      ...projectors.columns(options),
      fit: () => {
        throw new Error('lost');
      },
    });
    const { results } = await checkProjector(lost);
    const of = (law: string) => results.find(result => result.law === law);
    expect(of('shapes as declared')!.message).toMatch(/^it throws Error: lost \(.*check\.test\.ts:\d+:\d+\)$/);
    for (const law of ['inputs untouched', 'no leaks', 'Π = Πᵀ', 'rate of SGDM', 'energy under noise']) {
      expect(of(law)).toMatchObject({ status: 'skipped', follows: 'shapes as declared' });
    }
  });

  it('is shrunk to the smallest shape also where two dimensions must shrink together', async () => {
    // Wrong only for shapes with more than 6 entries.
    const factory = ({ density }: { readonly density: number }): ReturnType<typeof projectors.columns> => {
      const right = projectors.columns({ density });
      return {
        ...right,
        up: (x, basis, site) => (site.shape[0]! * site.shape[1]! > 6 ? scaled({ density }) : right).up(x, basis, site),
      };
    };
    const broken = (await checkProjector(factory, { bail: true })).results.at(-1)!;
    const [m, n] = (broken.counterexample as { shape: [number, number] }).shape;
    expect(m * n).toBe(7);
  });
});

describe('a factory of something else', () => {
  it.each([
    [
      () => ({ kind: 'x', fit: () => ({}) }),
      /returns \{ kind, fit \}, expected a projector, which also has: options, /,
    ],
    [() => projectors.columns, /returns a function, expected a projector/],
    [() => undefined, /returns undefined, expected a projector/],
    [async () => projectors.columns(), /returns a Promise, expected a projector/],
  ])('%# is no projector', async (factory, message) => {
    await expect((async () => checkProjector(factory as never))()).rejects.toThrow(message);
  });

  it('is no rule and no combine', async () => {
    await expect((async () => checkRule((() => ({ kind: 'x' })) as never))()).rejects.toThrow(
      /returns \{ kind \}, expected a rule, which also has: options, type, state, step/,
    );
    await expect((async () => checkRule((() => undefined) as never))()).rejects.toThrow(/undefined, expected a rule/);
    await expect((async () => checkCombine((() => ({ kind: 'x' })) as never))()).rejects.toThrow(
      /returns \{ kind \}, expected a combine, which also has: options, state, apply/,
    );
  });

  it.each([
    ['undefined', () => undefined],
    ['a Promise', async () => ({})],
    ['a Tensor', (g: Tensor) => mul(g, 1)],
  ])('returns %s from fit', async (found, fit) => {
    const wrong = ({ density }: { readonly density: number }) => ({
      ...projectors.columns({ density }),
      fit: fit as never,
    });
    const { results } = await checkProjector(wrong, { bail: true });
    expect(results.at(-1)).toMatchObject({ status: 'failed' });
    expect(results.at(-1)!.message).toBe(
      `fit returns ${found}, expected an object of tensors: those that basis() lists`,
    );
  });
});
