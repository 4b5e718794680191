import { FLOAT, type Shader, ShaderWriter, type Width } from '../wgsl/shader.js';

// No barriers: software adapters pay dearly for them, and a second small dispatch costs a GPU next to nothing.

export const CHECK_THREADS = 256;
/** Entries that a thread looks at, where there are enough of them. */
export const ENTRIES_PER_THREAD = 32;
/** Threads that look at one gradient at most. */
export const MOST_THREADS: number = 2 ** 18;
/**
 * Numbers a thread leaves: its sum of squares, that of the entries times {@link SMALL}, its largest magnitude, and the
 * number of the gradient.
 */
export const FINDING = 4;

/** Makes squares of the largest numbers finite: where the sum of squares has overflowed, that of these is taken. */
const SMALL: number = 2 ** -80;

/**
 * A sum over i from `start` while `i < end`, in sums of at most 32 terms each: the rounding errors of a sum grow with the
 * number of terms that are added to it one after the other.
 *
 * @param clear Sets the partial sums to 0.
 * @param term Adds the terms of `i` to them.
 * @param flush Adds them to the whole.
 */
function summed(start: string, end: string, by: string, clear: string, term: string, flush: string): string {
  return `  for (var i = ${start}; i < ${end};) {
    ${clear}
    for (var n = 0u; n < 32u && i < ${end}; n++) {
${term}
      i += ${by};
    }
    ${flush}
  }`;
}

/** {@link summed} over the findings at `place(i)`. */
function summedFindings(findings: string, start: string, end: string, by: string, place: string, more: string): string {
  return summed(
    start,
    end,
    by,
    'var part = vec2<f32>(0.0);',
    `      let at = (${place}) * ${FINDING}u;
      part += vec2<f32>(bitcast<f32>(${findings}[at]), bitcast<f32>(${findings}[at + 1u]));
${more}`,
    'sums += part;',
  );
}

/** Leaves `sums` at a place. */
function storeSums(findings: string, sums: readonly [string, string]): string {
  return `  ${findings}[place] = bitcast<u32>(${sums[0]});
  ${findings}[place + 1u] = bitcast<u32>(${sums[1]});`;
}

/** Updates of which the device remembers until the next report whether they were withheld. */
export const REMEMBERED = 4096;
/** Numbers of the ledger before the bits of {@link REMEMBERED}. */
export const LEDGER_HEAD = 4;

/** Bits of the float32 infinity: the magnitude of every finite number is below. */
const INFINITY_BITS = '0x7f800000u';
const NONE = '0xffffffffu';

/** What a look at a gradient is for. */
export interface Examination {
  /** The norm is wanted. */
  readonly sums: boolean;
  /** Entries are limited before they go into the norm. */
  readonly limits: boolean;
  readonly width: Width;
}

const examinations = new Map<string, Shader>();

/** Looks at one gradient. Magnitudes are compared as bits, since WGSL may assume that no number is NaN. */
export function examineShader({ sums, limits, width }: Examination): Shader {
  const key = `${sums} ${limits} ${width}`;
  let shader = examinations.get(key);
  if (shader === undefined) {
    shader = examination({ sums, limits, width });
    examinations.set(key, shader);
  }
  return shader;
}

function examination({ sums, limits, width }: Examination): Shader {
  const writer = new ShaderWriter();
  const [f, u] = [FLOAT[width], width === 1 ? 'u32' : 'vec4<u32>'];
  const gradient = writer.buffer('read', f);
  const findings = writer.buffer('read_write', 'u32');
  const threads = writer.dimension('threads');
  const limit = limits ? `bitcast<f32>(${writer.dimension('limit')})` : '';
  const limited = limits ? `smaller${width}(larger${width}(x, ${f}(-${limit})), ${f}(${limit}))` : 'x';
  const all = (name: string, combine: (x: string, y: string) => string): string =>
    width === 1 ? name : ['x', 'y', 'z', 'w'].map(axis => `${name}.${axis}`).reduce(combine);
  const entries = summed(
    'thread',
    writer.dimension('size'),
    threads,
    sums ? `var part = ${f}(0.0);\n    var smallPart = ${f}(0.0);` : '',
    `      let x = ${gradient}[i];
      magnitude = max(magnitude, bitcast<${u}>(x) & ${u}(0x7fffffffu));
${sums ? `      let limited = ${limited};\n      part += limited * limited;\n      let small = limited * ${SMALL};\n      smallPart += small * small;` : ''}`,
    sums ? 'sum += part;\n    smallSum += smallPart;' : '',
  );
  const plus = (x: string, y: string): string => `${x} + ${y}`;
  const body = `  let thread = group.x * ${CHECK_THREADS}u + local.x;
  var sum = ${f}(0.0);
  var smallSum = ${f}(0.0);
  var magnitude = ${u}(0u);
${entries}
  let place = (${writer.dimension('to')} + thread) * ${FINDING}u;
${storeSums(findings, [all('sum', plus), all('smallSum', plus)])}
  ${findings}[place + 2u] = ${all('magnitude', (x, y) => `max(${x}, ${y})`)};
  ${findings}[place + 3u] = ${writer.dimension('id')};`;
  return writer.finish([CHECK_THREADS, 1], body, width);
}

/** Puts the findings about one gradient together, so that one workgroup's worth is left. */
export const gatherShader: Shader = (() => {
  const writer = new ShaderWriter();
  const findings = writer.buffer('read_write', 'u32');
  const from = writer.dimension('from');
  const largest = `      magnitude = max(magnitude, ${findings}[at + 2u]);`;
  const body = `  var sums = vec2<f32>(0.0);
  var magnitude = 0u;
${summedFindings(findings, 'local.x', writer.dimension('threads'), `${CHECK_THREADS}u`, `${from} + i`, largest)}
  let place = (${writer.dimension('to')} + local.x) * ${FINDING}u;
${storeSums(findings, ['sums.x', 'sums.y'])}
  ${findings}[place + 2u] = magnitude;
  ${findings}[place + 3u] = ${writer.dimension('id')};`;
  return writer.finish([CHECK_THREADS, 1], body);
})();

/** Puts the findings about all gradients together: the last number is now that of the first that is not finite. */
export const collectShader: Shader = (() => {
  const writer = new ShaderWriter();
  const findings = writer.buffer('read_write', 'u32');
  const bad = `      if (${findings}[at + 2u] >= ${INFINITY_BITS}) { first = min(first, ${findings}[at + 3u]); }`;
  const body = `  var sums = vec2<f32>(0.0);
  var first = ${NONE};
${summedFindings(findings, 'local.x', writer.dimension('findings'), `${CHECK_THREADS}u`, 'i', bad)}
  let place = (${writer.dimension('to')} + local.x) * ${FINDING}u;
${storeSums(findings, ['sums.x', 'sums.y'])}
  ${findings}[place + 3u] = first;`;
  return writer.finish([CHECK_THREADS, 1], body);
})();

/**
 * The verdict on all gradients. `policy` is 0 to ignore, 1 to withhold, 2 to halt. The ledger holds the number of updates
 * withheld, the number after that of the gradient that halted (0 while none has), the number of updates that were looked
 * at for NaN and Inf, and for each of the last {@link REMEMBERED} of these a bit: 1 when it was withheld.
 */
export const decideShader: Shader = (() => {
  const writer = new ShaderWriter();
  const findings = writer.buffer('read', 'u32');
  const ledger = writer.buffer('read_write', 'u32');
  const factor = writer.buffer('read_write');
  const proceed = writer.buffer('read_write');
  const policy = writer.dimension('policy');
  const from = writer.dimension('from');
  const norm = `bitcast<f32>(${writer.dimension('norm')})`;
  const first = `      bad = min(bad, ${findings}[at + 3u]);`;
  const body = `  var sums = vec2<f32>(0.0);
  var bad = ${NONE};
${summedFindings(findings, '0u', `${CHECK_THREADS}u`, '1u', `${from} + i`, first)}
  var goes = true;
  if (${policy} == 1u && bad != ${NONE}) { goes = false; }
  if (${policy} == 2u) {
    if (bad != ${NONE} && ${ledger}[1] == 0u) { ${ledger}[1] = bad + 1u; }
    goes = ${ledger}[1] == 0u;
  }
  if (!goes) { ${ledger}[0] += 1u; }
  if (${policy} != 0u) {
    let nth = ${ledger}[2];
    let bit = 1u << (nth % 32u);
    let word = ${LEDGER_HEAD}u + (nth / 32u) % ${REMEMBERED / 32}u;
    ${ledger}[word] = select(${ledger}[word] | bit, ${ledger}[word] & ~bit, goes);
    ${ledger}[2] = nth + 1u;
  }
  let isLarge = (bitcast<u32>(sums.x) & 0x7fffffffu) >= ${INFINITY_BITS};
  let one = select(1.0, ${SMALL}, isLarge);
  let scale = ${norm} * one / (sqrt(select(sums.x, sums.y, isLarge)) + 1e-6 * one);
  ${factor}[0] = smaller1(scale, 1.0);
  ${proceed}[0] = select(0.0, 1.0, goes);`;
  return writer.finish([1, 1], body);
})();
