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
