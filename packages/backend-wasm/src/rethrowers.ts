/** The part of Node's `process` that is needed; there is none in a page. */
interface Emitter {
  listeners(event: string): readonly unknown[];
  removeListener(event: string, listener: unknown): void;
}

/**
 * What Emscripten's modules do about errors of the whole program: throw them again. The source is theirs to the letter, but
 * for names and spaces, which a bundler shortens; a listener of the program that did the same would not be missed either, as
 * Node ends the process with the error all the same.
 */
const RETHROWERS: Readonly<Record<string, RegExp>> = {
  uncaughtException: /^function\((\w+)\)\{if\(!\(\1instanceof\w+\)\)\{?throw\1;?\}?;?\}$/,
  unhandledRejection: /^function\((\w+)\)\{throw\1;?\}$/,
};

/**
 * Takes away the listeners that tfjs's wasm backend adds to the process when it starts. With them Node prints the place
 * where an uncaught error of the program was thrown again, which can be 30 kB of one line of the backend, before the error.
 * Without them it prints the error, and its place.
 */
export function removeRethrowers(): void {
  const { process } = globalThis as { readonly process?: Partial<Emitter> };
  if (typeof process?.listeners !== 'function' || typeof process.removeListener !== 'function') return;
  for (const [event, source] of Object.entries(RETHROWERS)) {
    for (const listener of process.listeners(event)) {
      if (source.test(String(listener).replaceAll(/\s+/g, ''))) process.removeListener(event, listener);
    }
  }
}
