import { defineConfig } from 'vitest/config';

// Run by ../vitest.test.ts: a suite that breaks laws, to see what vitest says about the others.
export default defineConfig({
  root: import.meta.dirname,
  ssr: { resolve: { conditions: ['@frugaljs/source'], externalConditions: ['@frugaljs/source'] } },
  test: { include: ['*.laws.ts'], testTimeout: 60_000 },
});
