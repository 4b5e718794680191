import { InvalidOptionError } from './errors.js';

/** An interval in the usual notation: `[0, 1)` excludes the 1. */
export type Interval =
  | `${'[' | '('}${number}, ${number}${']' | ')'}`
  | `${'[' | '('}${number}, Infinity${']' | ')'}`
  | '(-Infinity, Infinity)';

/**
 * Checks that a number lies in an interval and returns it.
 *
 * @param parameter What the number is called in the message, for example `adamW.beta1`.
 * @param interval In the usual notation: `[0, 1)` excludes the 1. `Infinity` may stand at either end.
 * @throws InvalidOptionError naming the parameter, the value found and the interval.
 */
export function requireNumber(parameter: string, value: number, interval: Interval): number {
  const [low, high] = interval.slice(1, -1).split(', ').map(Number) as [number, number];
  const aboveLow = interval.startsWith('[') ? value >= low : value > low;
  const belowHigh = interval.endsWith(']') ? value <= high : value < high;
  if (typeof value !== 'number' || !aboveLow || !belowHigh) {
    const expected = `a number in ${interval}`;
    throw new InvalidOptionError({ parameter, found: valueFound(value), expected, ...unquoted(value) });
  }
  return value;
}

/** Checks that a number is an integer of at least `minimum` and returns it. */
export function requireInteger(parameter: string, value: number, minimum: number): number {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new InvalidOptionError({
      parameter,
      found: valueFound(value),
      expected: `an integer of at least ${minimum}`,
      ...unquoted(value),
    });
  }
  return value;
}

/** What to show of a value that should be no string: without quotes the string "0.5" would read as if it were right. */
export function valueFound(value: unknown): unknown {
  return typeof value === 'string' ? `the string ${JSON.stringify(value)}` : value;
}

/** The advice to leave the quotes away, for a string that holds a number. */
export function unquoted(value: unknown): { readonly advice: string } | null {
  const isNumber = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));
  return isNumber ? { advice: `Write the number ${value.trim()}, without quotes, or convert it with Number().` } : null;
}

/** Checks that a value is `true` or `false` and returns it. */
export function requireBoolean(parameter: string, value: boolean): boolean {
  if (typeof value !== 'boolean') {
    throw new InvalidOptionError({ parameter, found: valueFound(value), expected: 'true or false' });
  }
  return value;
}

/** Checks that a value is one of a list and returns it. */
export function requireOneOf<const T extends string>(parameter: string, value: T, choices: readonly T[]): T {
  if (!choices.includes(value)) {
    throw new InvalidOptionError({
      parameter,
      found: value,
      expected: `one of ${choices.join(', ')}`,
      ...didYouMean(value, choices),
    });
  }
  return value;
}

/**
 * Checks that options are an object without a key outside `known`, so that a misspelled option, or `adamW(1e-3)`, is an
 * error and not silence.
 */
export function requireKnownKeys(owner: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidOptionError({
      parameter: owner,
      found: options,
      expected: known.length === 0 ? 'no options' : `an object with the options ${known.join(', ')}`,
    });
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new InvalidOptionError({
        parameter: `${owner}.${key}`,
        found: key,
        expected: known.length === 0 ? 'no options' : `one of the options ${known.join(', ')}`,
        ...(didYouMean(key, known) ?? belongsElsewhere(key)),
      });
    }
  }
}

/** What checks, forms and documentation need to know of one option. */
export type OptionSpec = {
  /** What it does, in a line of Markdown. */
  readonly meaning: string;
  /** Left out where there is none that JSON can say. */
  readonly default?: Json;
  /** The default as documentation shows it, where that is not its JSON. */
  readonly shown?: string;
} & (
  | { readonly type: 'number'; readonly interval: Interval }
  | { readonly type: 'integer'; readonly minimum: number; readonly orInfinity?: true }
  | { readonly type: 'boolean' }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  /** Something with a structure of its own, which whoever takes it checks. */
  | { readonly type: 'structure' }
);

/** The options of one owner by name, in the order of the documentation. */
export type OptionTable<Name extends string = string> = { readonly [K in Name]: OptionSpec };

/**
 * Checks that options are an object with no key outside a table, and each value that is given by what its row says. The
 * compiler holds that every key of the type has a row.
 */
export function requireOptions<Options extends object>(
  owner: string,
  options: Options,
  table: OptionTable<keyof Options & string>,
): void {
  requireKnownKeys(owner, options, Object.keys(table));
  for (const [name, value] of Object.entries(options)) {
    const spec = (table as OptionTable)[name]!;
    const parameter = `${owner}.${name}`;
    if (value === undefined) continue;
    if (spec.type === 'number') requireNumber(parameter, value, spec.interval);
    else if (spec.type === 'integer') requireCount(parameter, value, spec);
    else if (spec.type === 'boolean') requireBoolean(parameter, value);
    else if (spec.type === 'choice') requireOneOf(parameter, value, spec.choices);
  }
}

function requireCount(parameter: string, value: number, spec: OptionSpec & { type: 'integer' }): void {
  if (!spec.orInfinity) requireInteger(parameter, value, spec.minimum);
  else if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= spec.minimum)) return;
  else {
    const expected = `an integer of at least ${spec.minimum}, or Infinity`;
    throw new InvalidOptionError({ parameter, found: valueFound(value), expected, ...unquoted(value) });
  }
}

/** The advice to take the nearest known name; nothing where none is near. */
export function didYouMean(name: unknown, known: readonly string[]): { readonly advice: string } | null {
  const nearest = typeof name === 'string' ? nearestName(name, known) : null;
  return nearest === null ? null : { advice: `Did you mean ${nearest}?` };
}

/** What tells the parts of a composition apart: the first member, and what each must have besides `kind` and `options`. */
const PART_MEMBERS = {
  rule: ['type'],
  projector: ['traits', 'reducedShape', 'basis', 'fit', 'down', 'up'],
  combine: ['apply', 'state'],
  wrapper: ['step', 'step'],
} as const;

/**
 * Checks that an option is a part: not a factory, a name, an optimizer or something else, and none that lacks a member.
 *
 * @param expected What to write, such as `a rule such as adamW()`.
 */
export function requirePart(parameter: string, part: unknown, what: keyof typeof PART_MEMBERS, expected: string): void {
  const [first, ...others] = PART_MEMBERS[what];
  if (typeof part !== 'object' || part === null || !(first in part)) {
    throw new InvalidOptionError({ parameter, found: valueFound(part), expected, ...partAdvice(part, what) });
  }
  const members = part as { readonly [member: string]: unknown };
  const { kind, options, type } = members;
  const needed = what === 'rule' && type !== 'subspace' ? ['state', 'step'] : others;
  const missing = needed.find(member => typeof members[member] !== (member === 'traits' ? 'object' : 'function'));
  if (missing !== undefined) {
    const name = typeof kind === 'string' ? ` ${kind}` : '';
    const advice = missing === 'state' ? { advice: 'A part that keeps nothing has state: () => ({}).' } : {};
    const found = `a ${what}${name} without ${missing}`;
    throw new InvalidOptionError({ parameter, found, expected: `a ${what} with ${needed.join(', ')}`, ...advice });
  }
  if (typeof kind !== 'string' || kind === '' || typeof options !== 'object' || options === null) {
    throw new InvalidOptionError({
      parameter,
      found: `a ${what} with kind ${String(kind)} and options ${String(options)}`,
      expected: 'kind: a name, and options: JSON',
      advice: 'explain(), checkpoints and saved state call the part by these; options are {} where there are none.',
    });
  }
}

/** What to do about something in the place of a part that people take for one. */
function partAdvice(part: unknown, what: string): { readonly advice: string } | null {
  if (typeof part === 'function') return { advice: callAdvice(part) };
  if (typeof part === 'string') return { advice: `Names are for recipes and JSON: call the factory of the ${what}.` };
  if (typeof part !== 'object' || part === null) return null;
  if ('applyGradients' in part) {
    const isComposed = 'memoryReport' in part;
    const instead = isComposed ? 'train with it as it is, or give its rule here' : 'compose makes the optimizer';
    return { advice: `This is an optimizer: ${instead}. A rule is adamW() or subspace({ projector, rule, combine }).` };
  }
  if (what === 'rule' && 'fit' in part) return { advice: 'A projector goes into subspace({ projector, rule }).' };
  if (what === 'rule' && 'apply' in part)
    return { advice: 'A combine goes into subspace({ projector, rule, combine }).' };
  if (what !== 'rule' && 'type' in part) return { advice: `This is a rule; the ${what} of a subspace goes here.` };
  if ('kind' in part) return { advice: `This is the JSON of a ${what}: ${what}FromJson makes the ${what}.` };
  return null;
}

/** What to do about a factory in the place of what it makes. */
export function callAdvice({ name }: { readonly name: string }): string {
  return name === '' ? 'Call the factory.' : `Call the factory: write ${name}() and not ${name}.`;
}

/** Rules know neither the learning rate nor the weight decay, as the optimizers of other libraries do. */
function belongsElsewhere(key: string): { readonly advice: string } | null {
  const meant = nearestName(key, ['learningRate', 'weightDecay']);
  if (meant === 'learningRate') return { advice: 'compose and the recipes take the learningRate.' };
  return meant === null ? null : { advice: 'The groups of compose, and the recipes, take the weightDecay.' };
}

/** What other libraries call the options, names and rules here: these come before names that merely look alike. */
const ELSEWHERE: ReadonlyMap<string, readonly string[]> = new Map([
  ['adam', ['adamW']],
  ['betas', ['beta1']],
  ['clipnorm', ['globalNorm', 'clip']],
  ['eps', ['epsilon']],
  ['lambda', ['weightDecay']],
  ['lr', ['learningRate', 'peak', 'lrScale']],
  ['maxnorm', ['globalNorm']],
  ['params', ['match']],
  ['ratio', ['density']],
  ['rho', ['density']],
  ['rank', ['density']],
  ['stepsize', ['learningRate']],
  ['updateproj', ['updateGap']],
  ['wd', ['weightDecay']],
]);

/** Beyond this a text is no name that somebody has misspelled. */
const LONGEST_NAME = 200;

/**
 * The known name that somebody may have meant by an unknown one: what it is called elsewhere, the same but for case and
 * hyphens, the beginning of one another, or a slip of the pen (Damerau–Levenshtein distance of at most a third of the
 * letters). `null` where none is near, or where the name is too long for one.
 */
function nearestName(name: string, known: readonly string[]): string | null {
  // The distance takes time by the product of the lengths.
  if (name.length > LONGEST_NAME) return null;
  const sought = plain(name);
  const alias = ELSEWHERE.get(sought)?.find(candidate => known.includes(candidate));
  if (alias !== undefined) return alias;
  const ranked = known
    .map(candidate => ({ candidate, distance: distance(sought, plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && Number.isFinite(best.distance) ? best.candidate : null;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Infinity where the names are too far apart to be taken for one another. */
function distance(a: string, b: string): number {
  if (a === b) return 0;
  const [shorter, longer] = a.length < b.length ? [a, b] : [b, a];
  if (shorter.length >= 3 && longer.startsWith(shorter)) return 0.5;
  const edits = editDistance(a, b);
  return edits <= Math.floor(longer.length / 3) ? edits : Number.POSITIVE_INFINITY;
}

/** Insertions, deletions, replacements and swaps of neighbors that make one text the other. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(replaced, swapped, rows[i - 1]![j]! + 1, row[j - 1]! + 1));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** Anything that survives `JSON.parse(JSON.stringify(x))` unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * The describable half of every part of a composition. `kind` names the factory and `options` are its arguments with
 * the defaults filled in, so that a configuration file, a checkpoint and `explain()` all say the same thing.
 */
export interface Described {
  readonly kind: string;
  readonly options: { readonly [key: string]: Json | undefined };
}

/** Node prints by this what is given to `console.log`. */
const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** Has `console.log` in Node print something as a text, instead of the members it is made of; returns it. */
export function printedAs<T extends object>(thing: T, text: (thing: T) => string): T {
  return Object.defineProperty(thing, INSPECT, {
    value(this: T): string {
      return text(this);
    },
  });
}

/** The JSON of a part: its kind and options, without its functions. */
export function describePart(part: Described): { readonly kind: string; readonly options: Described['options'] } {
  return { kind: part.kind, options: part.options };
}
