import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Frees what nothing refers to any more, so that one contestant does not pay for the garbage of another. */
export const collectGarbage: () => void = runInNewContext('gc') as () => void;
