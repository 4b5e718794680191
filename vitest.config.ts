import { defineConfig } from 'vitest/config';

// Packages are tested from source: the condition `@frugaljs/source` of their exports leads to src/, so no build comes first.
export default defineConfig({
  resolve: { conditions: ['@frugaljs/source'] },
  ssr: { resolve: { conditions: ['@frugaljs/source'], externalConditions: ['@frugaljs/source'] } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'tools/**/*.test.ts'],
    // A process per file: tfjs keeps its engine and its backends in globals, and a wasm heap never shrinks.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // tfjs advertises tfjs-node in every process.
    onConsoleLog: log => !log.includes('you are running TensorFlow.js in Node.js'),
  },
});
