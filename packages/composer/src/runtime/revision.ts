import { InvalidStateError, type Projector } from '@frugaljs/core';
import { joinPath, type StateReader } from './saved-state.js';

/** The revision by which a projector chooses subspaces anew. */
export function currentRevision({ revision = 1 }: Projector): number {
  return revision;
}

/**
 * The revision of the projector that chose a saved subspace; state from before there were several names none, and is of
 * the first. Where no subspace was saved, the current one.
 *
 * @throws InvalidStateError for a revision that this version of the projector does not know.
 */
export function savedRevision(path: string, from: StateReader, projector: Projector): number {
  const current = currentRevision(projector);
  if (!from.has(joinPath(path, 'epoch'))) return current;
  const at = joinPath(path, 'revision');
  const saved = from.has(at) ? from.counter(at) : 1;
  if (saved >= 1 && saved <= current) return saved;
  throw new InvalidStateError({
    parameter: `${from.parameter}::${at}`,
    found: `a subspace chosen by revision ${saved} of ${projector.kind}`,
    expected: `a revision from 1 to ${current}`,
    advice: 'Load the state with the version of the library that saved it, or a later one.',
  });
}
