export {
  randomInteger,
  randomNormals,
  randomPermutation,
  randomUniform,
} from './distributions.js';
export { cosTurns, naturalLog, sinTurns } from './elementary.js';
export { type RandomKey, randomKey } from './key.js';
export { randomSubset } from './subset.js';
export { randomSubsetByMask } from './subset-by-mask.js';
export { threefry2x32 } from './threefry.js';
