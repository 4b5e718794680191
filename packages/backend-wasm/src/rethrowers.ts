/** The part of Node's `process` that is needed; there is none in a page. */
interface Emitter {
  listeners(event: unknown): readonly unknown[];
  on(event: 'newListener', listener: typeof watch): void;
  removeListener(event: unknown, listener: unknown): void;
}

/**
 * What Emscripten's modules do about errors of the whole program: throw them again. The source is theirs to the letter, but
 * for names and spaces, which a bundler shortens; a listener of the program that did the same would not be missed either, as
 * Node ends the process with the error all the same.
 */
const RETHROWERS: ReadonlyMap<unknown, RegExp> = new Map([
  ['uncaughtException', /^function\((\w+)\)\{if\(!\(\1instanceof\w+\)\)\{?throw\1;?\}?;?\}$/],
  ['unhandledRejection', /^function\((\w+)\)\{throw\1;?\}$/],
]);

/**
 * Takes away the listeners that tfjs's wasm backend adds to the process when it starts, also those that it will add: it may
 * start at any time, and a program that does not wait for it may fail meanwhile. With them Node prints the place where an
 * uncaught error of the program was thrown again, which can be 30 kB of one line of the backend, before the error. Without
 * them it prints the error, and its place.
 */
export function keepRethrowersOut(): void {
  removeRethrowers();
  const process = processOf();
  if (process !== null && !process.listeners('newListener').includes(watch)) process.on('newListener', watch);
}

/**
 * Node says that a listener comes before it is there. The one for errors is there when that for rejections comes, and goes
 * at once, as the next microtask may report an error; rejections are reported after all microtasks.
 */
function watch(event: unknown, listener: unknown): void {
  if (!isRethrower(event, listener)) return;
  removeRethrowers();
  queueMicrotask(removeRethrowers);
}

function removeRethrowers(): void {
  const process = processOf();
  if (process === null) return;
  for (const event of RETHROWERS.keys()) {
    for (const listener of process.listeners(event)) {
      if (isRethrower(event, listener)) process.removeListener(event, listener);
    }
  }
}

function isRethrower(event: unknown, listener: unknown): boolean {
  return RETHROWERS.get(event)?.test(String(listener).replaceAll(/\s+/g, '')) ?? false;
}

function processOf(): Emitter | null {
  const { process } = globalThis as { readonly process?: Partial<Emitter> };
  const { listeners, on, removeListener } = process ?? {};
  return [listeners, on, removeListener].every(member => typeof member === 'function') ? (process as Emitter) : null;
}
