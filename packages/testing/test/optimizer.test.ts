import '@tensorflow/tfjs-layers'; // registers the gradients of tfjs
import { describeOptimizerLaws } from '@frugaljs/testing/vitest';
import { BACKENDS } from './backends.js';
import { builtInAlgebra } from './built-in-algebra.js';

describeOptimizerLaws(builtInAlgebra('reference'), { name: 'compose', backends: BACKENDS });
