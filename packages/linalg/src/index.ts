export { dctEntries, dctMatrix } from './dct.js';
export { LinalgArgumentError, NonFiniteMatrixError } from './errors.js';
export type { SingularTriplets, SubspaceOptions } from './leading-subspace.js';
export { leadingSingularTriplets, leadingSubspace } from './leading-subspace.js';
export {
  type NativeDecompositions,
  nativeDecompositions,
  registerDecompositions,
  type SingularFactors,
} from './native.js';
export type { NewtonSchulzOptions } from './newton-schulz.js';
export { newtonSchulz } from './newton-schulz.js';
export type { OrthonormalizeOptions } from './orthonormalize.js';
export { orthonormalize } from './orthonormalize.js';
export { semiOrthonormal } from './semi-orthonormal.js';
export type { Side } from './sides.js';
export type { SpectralNormOptions } from './spectral-norm.js';
export { spectralNorm } from './spectral-norm.js';
export type { SymmetricEigen, SymmetricEigenOptions } from './symmetric-eigen.js';
export { symmetricEigen } from './symmetric-eigen.js';
