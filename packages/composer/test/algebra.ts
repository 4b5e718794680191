import { blockwise, columns, dct, given, identity, randK, random, rows, svd } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adaLayer, adamMini, adamW, lion, sgdm } from '@frugaljs/state-full';
import type { Algebra } from '@frugaljs/testing';
import { type ComposeOptions, compose, drop, residual, subspace } from '../src/index.js';

/** The constructors of the packages, with one way to run them. */
export function algebraOf(kernels: ComposeOptions['kernels']): Algebra {
  return {
    compose: options => compose({ ...options, kernels }),
    subspace,
    drop,
    residual,
    rules: { adamW, lion, sgdm, sgd, signSgd, adaLayer, adamMini },
    projectors: { rows, columns, randK, blockwise, svd, random, dct, given, identity: () => identity() },
  };
}
