export { type NormalizedSgdOptions, normalizedSgd } from './normalized-sgd.js';
export { sgd } from './sgd.js';
export { signSgd } from './sign-sgd.js';
export { type SinkGdOptions, sinkGd } from './sink-gd.js';
export { STATE_FREE_RULES, type StateFreeRuleEntry } from './table.js';
