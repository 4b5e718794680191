export { dctEntries, dctMatrix } from './dct.js';
export {
  type NativeDecompositions,
  nativeDecompositions,
  registerDecompositions,
  type Side,
  type SingularFactors,
} from './decompositions.js';
export { LinalgArgumentError, NonFiniteMatrixError } from './errors.js';
export {
  leadingSingularTriplets,
  leadingSubspace,
  type SingularTriplets,
  type SpectralNormOptions,
  type SubspaceOptions,
  spectralNorm,
} from './leading-subspace.js';
export { type NewtonSchulzOptions, newtonSchulz } from './newton-schulz.js';
export { type OrthonormalizeOptions, orthonormalize, semiOrthonormal } from './orthonormalize.js';
export { type SymmetricEigen, type SymmetricEigenOptions, symmetricEigen } from './symmetric-eigen.js';
