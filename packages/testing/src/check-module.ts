import type { Combine, Projector, Rule } from '@frugaljs/core';
import { checkCombine } from './combine/check-combine.js';
import type { CombineLawOptions } from './combine/subject.js';
import { checkProjector } from './projector/check-projector.js';
import type { ProjectorLawOptions } from './projector/subject.js';
import type { Report } from './report.js';
import { checkRule } from './rule/check-rule.js';
import type { RuleLawOptions } from './rule/subject.js';
import type { RunOptions } from './run-laws.js';

/** What a module exports under the name `laws`: for each factory by name, what it claims and how it is drawn. */
export type ModuleLaws = Readonly<
  Record<string, ProjectorLawOptions<never> | RuleLawOptions<never> | CombineLawOptions<never>>
>;

/**
 * Tries the laws on every factory that a module exports: functions that, called with `{}`, give a projector (it has
 * `fit`), a rule (`step`) or a combine (`apply`). An export `laws` says what each claims; see {@link ModuleLaws}. Exports
 * that are something else are passed over.
 *
 * @throws TypeError when the module exports no factory, or for claims about what is none.
 */
export async function checkModule(
  exports: Readonly<Record<string, unknown>>,
  options: RunOptions = {},
): Promise<Report[]> {
  const laws = (exports['laws'] ?? {}) as ModuleLaws;
  const factories = Object.entries(exports).flatMap(([name, value]) => {
    const kind = typeof value === 'function' ? kindOf(value as Factory) : null;
    return kind === null ? [] : [{ name, kind, factory: value as Factory }];
  });
  requireFactories(Object.keys(laws), exports, new Set(factories.map(({ name }) => name)));
  const reports: Report[] = [];
  for (const { name, kind, factory } of factories) {
    const claims = { name, ...laws[name], ...options };
    switch (kind) {
      case 'projector':
        reports.push(
          await checkProjector(factory as () => Projector, claims as ProjectorLawOptions<{ density: number }>),
        );
        break;
      case 'rule':
        reports.push(await checkRule(factory as () => Rule, claims as RuleLawOptions<never>));
        break;
      case 'combine':
        reports.push(await checkCombine(factory as () => Combine, claims as CombineLawOptions<never>));
        break;
    }
  }
  if (reports.length > 0) return reports;
  throw new TypeError(
    `The module exports ${Object.keys(exports).join(', ') || 'nothing'}, expected a function that returns a projector, a rule or a combine for {}.`,
  );
}

/**
 * {@link checkModule} on a file.
 *
 * @param url Of the module, such as `pathToFileURL('my-projector.js').href`. TypeScript needs a loader, such as tsx.
 */
export async function checkFile(url: string | URL, options: RunOptions = {}): Promise<Report[]> {
  return checkModule((await import(String(url))) as Record<string, unknown>, options);
}

/** Claims about what is not checked would be taken for checked. */
function requireFactories(
  claimed: readonly string[],
  exports: Readonly<Record<string, unknown>>,
  checked: ReadonlySet<string>,
): void {
  const unchecked = claimed.filter(name => !checked.has(name));
  if (unchecked.length === 0) return;
  const found = unchecked.map(
    name => `${name} (${Object.hasOwn(exports, name) ? whyNot(exports[name]) : 'no export'})`,
  );
  throw new TypeError(`laws: ${found.join(', ')}, expected names of exported factories: ${[...checked].join(', ')}`);
}

function whyNot(value: unknown): string {
  if (typeof value !== 'function') return 'no function';
  try {
    (value as Factory)({});
  } catch (error) {
    return `called with {} it throws ${String(error)}`;
  }
  return 'called with {} it makes no projector, rule or combine';
}

type Factory = (options: object) => unknown;

function kindOf(factory: Factory): 'projector' | 'rule' | 'combine' | null {
  let made: unknown;
  try {
    made = factory({});
  } catch {
    // A function that is no factory, or a class.
    return null;
  }
  if (typeof made !== 'object' || made === null || !('kind' in made)) return null;
  if ('fit' in made) return 'projector';
  if ('step' in made) return 'rule';
  return 'apply' in made ? 'combine' : null;
}
