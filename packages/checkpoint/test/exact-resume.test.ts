import { listRecipes } from '@frugaljs/composer';
import { backendNames } from '@frugaljs/trainer/backend';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { runProgram } from '../../../tools/test-support/node-process.js';
import type { Printed } from './exact-resume-process.js';

/**
 * An adapter in software takes a minute for a recipe, most of it to compile shaders: one recipe stands for those that are
 * fused the same way. `EXACT_RESUME=all` tries all of them.
 */
const ON_WEBGPU: readonly string[] =
  process.env['EXACT_RESUME'] === 'all' ? listRecipes() : ['frugal-columns', 'adamW'];

const program = new URL('exact-resume-process.ts', import.meta.url);

async function run(...args: string[]): Promise<Printed> {
  const stdout = await runProgram(program, ...args);
  return JSON.parse(stdout.slice(stdout.indexOf('{'))) as Printed;
}

describe.each(backendNames)('on %s', backend => {
  test('every recipe continues in another process bit for bit, across refreshes and between accumulated batches', async context => {
    const folder = temporaryFolder();
    const recipes = backend === 'webgpu' ? ON_WEBGPU : listRecipes();
    const whole = await run(backend, 'first', folder, ...recipes);
    if ('unavailable' in whole) {
      console.log(`Skipped: ${whole.unavailable}`);
      return context.skip();
    }
    const halves = await run(backend, 'second', folder, ...recipes);
    if ('unavailable' in halves) throw new Error(halves.unavailable);
    expect(Object.keys(whole.outcomes)).toEqual(recipes);
    for (const name of recipes) {
      const { losses, weights, state } = whole.outcomes[name]!;
      expect(losses).toHaveLength(30);
      expect(new Set(losses).size).toBeGreaterThan(15);
      expect(Object.keys(weights)).toHaveLength(3);
      expect(Object.keys(state)).toContain('::updates');
      expect(halves.outcomes[name], name).toEqual(whole.outcomes[name]);
    }
  }, 3_600_000);
});
