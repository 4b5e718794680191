import '@tensorflow/tfjs-backend-cpu';
import { setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { differenceOf, LAYER_CASES, trainLayer, UNTRAINABLE } from '../../../tools/test-support/layer-table.js';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import { missing, useTensorFlow } from './tensorflow.js';

describe.skipIf(missing !== null)('layers of tf.layers', () => {
  const rows = new ReadmeTables(new URL('../../backend-wasm/README.md', import.meta.url)).titled('layer', 'cpu');

  test.each(Object.keys(LAYER_CASES))('%s does what the table says', async name => {
    const cell = rows.find(([layer]) => layer === name)![4]!;
    if (name in UNTRAINABLE) {
      expect(cell).toBe(UNTRAINABLE[name]!.why);
      return;
    }
    await setBackend('cpu');
    const expected = await trainLayer(name);
    await useTensorFlow();
    const outcome = await trainLayer(name).then(
      found => differenceOf(found, expected) ?? 'trains',
      (error: Error) => error.message,
    );
    expect(outcome).toContain(cell.replace(/^no: /, ''));
  });
});
