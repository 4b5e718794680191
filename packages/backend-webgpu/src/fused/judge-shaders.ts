import { type Shader, ShaderWriter } from '../wgsl/shader.js';

export const JUDGE_THREADS = 256;
/** Entries that a thread looks at, where there are enough of them. */
export const ENTRIES_PER_THREAD = 16;
/** Workgroups for one gradient at most. */
export const MOST_GROUPS = 512;
/** Numbers a workgroup leaves: its sum of squares, its largest magnitude, and the number of the gradient. */
export const FINDING = 3;

/** Bits of the float32 infinity: the magnitude of every finite number is below. */
const INFINITY_BITS = '0x7f800000u';
const NONE = '0xffffffffu';

function treeLines(memory: string, combine: (x: string, y: string) => string): string {
  return `  for (var half = ${JUDGE_THREADS / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.x < half) { ${memory}[local.x] = ${combine(`${memory}[local.x]`, `${memory}[local.x + half]`)}; }
  }
  workgroupBarrier();`;
}

/** Looks at one gradient. Magnitudes are compared as bits, since WGSL may assume that no number is NaN. */
export const examineShader: Shader = (() => {
  const writer = new ShaderWriter();
  const gradient = writer.buffer('read');
  const findings = writer.buffer('read_write', 'u32');
  const sums = writer.workgroupMemory('f32', JUDGE_THREADS);
  const magnitudes = writer.workgroupMemory('u32', JUDGE_THREADS);
  const limit = `bitcast<f32>(${writer.dimension('limit')})`;
  const body = `  var sum = 0.0;
  var magnitude = 0u;
  for (var i = group.x * ${JUDGE_THREADS}u + local.x; i < ${writer.dimension('size')}; i += ${writer.dimension('stride')}) {
    let x = ${gradient}[i];
    magnitude = max(magnitude, bitcast<u32>(x) & 0x7fffffffu);
    let limited = smaller(larger(x, -${limit}), ${limit});
    sum += limited * limited;
  }
  ${sums}[local.x] = sum;
${treeLines(sums, (x, y) => `${x} + ${y}`)}
  ${magnitudes}[local.x] = magnitude;
${treeLines(magnitudes, (x, y) => `max(${x}, ${y})`)}
  if (local.x == 0u) {
    let place = (${writer.dimension('first')} + group.x) * ${FINDING}u;
    ${findings}[place] = bitcast<u32>(${sums}[0]);
    ${findings}[place + 1u] = ${magnitudes}[0];
    ${findings}[place + 2u] = ${writer.dimension('id')};
  }`;
  return writer.finish([JUDGE_THREADS, 1], body);
})();

/**
 * The verdict on all gradients. The ledger holds the number of updates withheld, and the number after that of the
 * gradient that halted (0 while none has). `policy` is 0 to ignore, 1 to withhold, 2 to halt.
 */
export const verdictShader: Shader = (() => {
  const writer = new ShaderWriter();
  const findings = writer.buffer('read', 'u32');
  const ledger = writer.buffer('read_write', 'u32');
  const factor = writer.buffer('read_write');
  const proceed = writer.buffer('read_write');
  const sums = writer.workgroupMemory('f32', JUDGE_THREADS);
  const firsts = writer.workgroupMemory('u32', JUDGE_THREADS);
  const policy = writer.dimension('policy');
  const norm = `bitcast<f32>(${writer.dimension('norm')})`;
  const body = `  var sum = 0.0;
  var first = ${NONE};
  for (var i = local.x; i < ${writer.dimension('findings')}; i += ${JUDGE_THREADS}u) {
    sum += bitcast<f32>(${findings}[i * ${FINDING}u]);
    if (${findings}[i * ${FINDING}u + 1u] >= ${INFINITY_BITS}) { first = min(first, ${findings}[i * ${FINDING}u + 2u]); }
  }
  ${sums}[local.x] = sum;
${treeLines(sums, (x, y) => `${x} + ${y}`)}
  ${firsts}[local.x] = first;
${treeLines(firsts, (x, y) => `min(${x}, ${y})`)}
  if (local.x == 0u) {
    let bad = ${firsts}[0];
    var goes = true;
    if (${policy} == 1u && bad != ${NONE}) { goes = false; }
    if (${policy} == 2u) {
      if (bad != ${NONE} && ${ledger}[1] == 0u) { ${ledger}[1] = bad + 1u; }
      goes = ${ledger}[1] == 0u;
    }
    if (!goes) { ${ledger}[0] += 1u; }
    let scale = ${norm} / (sqrt(${sums}[0]) + 1e-6);
    ${factor}[0] = select(scale, 1.0, scale > 1.0);
    ${proceed}[0] = select(0.0, 1.0, goes);
  }`;
  return writer.finish([JUDGE_THREADS, 1], body);
})();
