import {
  type Code,
  type FunctionScope,
  i32,
  type Local,
  type ModuleBuilder,
  type Operand,
  select,
} from '@frugaljs/wasm-assembly';
import type { TierSpec } from './tier.js';

/** A tier in the kernel under construction. */
export interface TierPart {
  readonly name: string;
  readonly tier: TierSpec;
  /** Arguments of its functions: addresses of tensors, then numbers. */
  readonly args: readonly Local[];
}

/** A tier whose entries a list of ascending indices names. */
export interface ListedPart extends TierPart {
  readonly list: Local;
  readonly count: Local;
}

/** What the code that shares out the entries of a parameter has at hand. */
export interface SplitParts {
  readonly module: ModuleBuilder;
  readonly scope: FunctionScope;
  readonly rows: Local;
  readonly columns: Local;
  /** Address of the scratch memory. */
  readonly scratch: Local;
  readonly listed: readonly ListedPart[];
  readonly rest: TierPart;
}

/** Address of an entry of a list. */
export const entryAt = (list: Local, position: Operand): Code => i32.add(list, i32.shl(position, 2));

/** An entry of a list, and whether there is one at this position. */
export function listedEntry(
  { list, count }: Pick<ListedPart, 'list' | 'count'>,
  position: Operand,
): { readonly exists: Code; readonly index: Code } {
  const exists = i32.ltU(position, count);
  // Past its end a list is read at its start instead, so that no load leaves it.
  return { exists, index: i32.load(entryAt(list, select(position, 0, exists))) };
}
