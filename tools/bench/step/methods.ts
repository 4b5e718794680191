import { COMPOSITIONS, type CompositionName } from './compositions.js';
import { TFJS_METHODS, type TfjsMethod } from './optimizer-contender.js';

/** Everything that can be measured on a backend of tfjs, in the order of the table. */
export type MethodName = 'copy' | TfjsMethod | CompositionName | 'svd-products' | 'svd-refresh' | 'svd-refresh-cold';

export const METHOD_NAMES: readonly MethodName[] = [
  'copy',
  ...TFJS_METHODS,
  ...(Object.keys(COMPOSITIONS) as CompositionName[]),
  'svd-products',
  'svd-refresh',
  'svd-refresh-cold',
];
