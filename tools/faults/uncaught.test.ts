import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { FRUGAL } from './command.js';

const SOURCE = FRUGAL.slice(0, -1);

it('an error while the wasm backend starts is printed, and no source of the backend', () => {
  const code = `import '@frugaljs/backend-wasm';
    import { ones, setBackend } from '@tensorflow/tfjs-core';
    void setBackend('wasm');
    ones([2]);`;
  const args = [...SOURCE, '--input-type=module', '--eval', code];
  const { stderr } = spawnSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' });
  expect(stderr).toContain("Error: Backend 'wasm' has not yet been initialized");
  expect(stderr.length).toBeLessThan(2000);
});
