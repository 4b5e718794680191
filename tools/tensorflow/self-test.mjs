import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** One step of Adam on a resource variable: from 1 by the learning rate 0.5, against a gradient of 2. */
const PROGRAM = `
const tf = require('@tensorflow/tfjs-node');
const { binding } = tf.backend();
const type = (name) => ({ name, type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT });
const run = (name, attributes, inputs, outputs) => binding.executeOp(name, attributes, inputs, outputs).map(({ id }) => id);
const number = (value) => binding.createTensor([], binding.TF_FLOAT, Float32Array.of(value));
const variable = (name, value) => {
  const shape = { name: 'shape', type: binding.TF_ATTR_SHAPE, value: [] };
  const shared = { name: 'shared_name', type: binding.TF_ATTR_STRING, value: name };
  const container = { name: 'container', type: binding.TF_ATTR_STRING, value: '' };
  const [handle] = run('VarHandleOp', [type('dtype'), shape, shared, container], [], 1);
  run('AssignVariableOp', [type('dtype')], [handle, number(value)], 0);
  return handle;
};
const w = variable('w', 1);
const numbers = [0, 0, 0.5, 0, 0, 1e-8, 2].map(number);
run('ResourceApplyAdam', [type('T')], [w, variable('m', 0), variable('v', 0), ...numbers], 0);
const [read] = run('ReadVariableOp', [type('dtype')], [w], 1);
const [value] = binding.tensorDataSync(read);
if (!binding.TF_Version.startsWith(process.argv[1])) throw new Error('TensorFlow is ' + binding.TF_Version);
if (Math.abs(value - 0.5) > 1e-6) throw new Error('Adam went from 1 to ' + value + ', expected 0.5');
`;

/**
 * Tries the tfjs-node in a folder, in a process of its own.
 *
 * @param {string} folder
 * @param {string} version of TensorFlow that is expected
 * @returns {string | null} what is wrong with it; `null` when it works
 */
export function selfTest(folder, version) {
  const { status, stderr, error } = spawnSync(process.execPath, ['-e', PROGRAM, version], {
    cwd: join(folder, 'node_modules'),
    encoding: 'utf8',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
  });
  if (status === 0) return null;
  const reason = stderr.split('\n').find(line => /Error/.test(line));
  return (reason ?? error?.message ?? stderr.slice(-200)).trim();
}
