import { configDefaults, defineConfig } from 'vitest/config';

/**
 * What `npm run test:fast` leaves out, so that the rest takes less than a minute on two processors: files of more than
 * about two seconds. `npm run test:fast -- --reporter=json --outputFile=.cache/fast.json` tells which those are.
 */
const slow = [
  // Laws: hundreds of random cases each, and mutants that they must catch.
  '**/laws.test.ts',
  'packages/core/test/interpreter-differential.test.ts',
  'packages/core/test/random/subset.test.ts',
  'packages/adapters/test/lora.test.ts',
  'packages/composer/test/{convolutions,dense-bands,edges,empty-subspace,fused,fused-large,kept-signs,large-gradients,measures,non-finite-table,order,random-compositions,recipes,reductions}.test.ts',
  'packages/backend-wasm/test/{convolution,depthwise,expressions,movement,pooling}.test.ts',
  'packages/linalg/test/{leading-subspace,orthonormalize}.test.ts',
  'packages/state-full/test/{foam,magnitudes}.test.ts',
  'packages/testing/test/**',
  // Processes that are killed, run out of memory or disk, or are compared with another run of the same.
  'packages/checkpoint/test/{kill,exact-resume,disk-full,fault-injection,hostile-header,histories,lease,mutations}.test.ts',
  'packages/backend-wasm/test/full-heap.test.ts',
  'packages/trainer/test/**',
  // Whole models, trained.
  'packages/backend-wasm/test/{layers,training}.test.ts',
  'packages/llama/test/model.test.ts',
  // Devices, browsers, TensorFlow and Python: each takes its time to start.
  'packages/{backend-webgpu,backend-node,playground}/test/**',
  'packages/checkpoint/test/{browser,python,transformers}.test.ts',
  // Commands of the workspace, and the examples, run as such.
  'examples/test/**',
  'tools/{bench,compatibility,examples,new,replay,shape,soak}/**',
  'tools/faults/{command,life}.test.ts',
  'tools/check/{published,tool-rules}.test.ts',
];

// Packages are tested from source: the condition `@frugaljs/source` of their exports leads to src/, so no build comes first.
export default defineConfig(({ mode }) => ({
  resolve: { conditions: ['@frugaljs/source'] },
  ssr: { resolve: { conditions: ['@frugaljs/source'], externalConditions: ['@frugaljs/source'] } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'examples/test/*.test.ts', 'tools/**/*.test.ts'],
    exclude: mode === 'fast' ? [...configDefaults.exclude, ...slow] : configDefaults.exclude,
    // A process per file: tfjs keeps its engine and its backends in globals, and a wasm heap never shrinks. A thread has
    // globals of its own, too, and starts sooner; tests that send signals or set flags of the process are not fast ones.
    pool: mode === 'fast' ? 'threads' : 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // tfjs advertises tfjs-node in every process.
    onConsoleLog: log => !log.includes('you are running TensorFlow.js in Node.js'),
  },
}));
