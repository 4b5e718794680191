export {
  randomInteger,
  randomNormals,
  randomPermutation,
  randomSubset,
  randomUniform,
} from './distributions.js';
export { cosTurns, naturalLog, sinTurns } from './elementary.js';
export { type RandomKey, randomKey } from './key.js';
export { threefry2x32 } from './threefry.js';
