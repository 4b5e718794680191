import type { CheckLimits, CheckReport, CheckResult, FiniteCheck, NumberedGradient } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Dispatcher, requireBindable, ScratchBuffer } from '../device/dispatcher.js';
import { type Field, FLOAT, type Shader, ShaderWriter, type Width } from '../wgsl/shader.js';

// No barriers: software adapters pay dearly for them, and a second small dispatch costs a GPU next to nothing.

const CHECK_THREADS = 256;
/** Entries that a thread looks at, where there are enough of them. */
const ENTRIES_PER_THREAD = 32;
/** Threads that look at one gradient at most. */
const MOST_THREADS = 2 ** 18;
/**
 * Numbers a thread leaves: its sum of squares, that of the entries times {@link SMALL}, its largest magnitude, and the
 * number of the gradient.
 */
const FINDING = 4;

/** Makes squares of the largest numbers finite: where the sum of squares has overflowed, that of these is taken. */
const SMALL = 2 ** -80;

/** Updates of which the device remembers until the next report whether they were skipped. */
const REMEMBERED = 4096;
/** Numbers of the ledger before the bits of {@link REMEMBERED}. */
const LEDGER_HEAD = 4;

/** Bits of the float32 infinity: the magnitude of every finite number is below. */
const INFINITY_BITS = '0x7f800000u';
const NONE = '0xffffffffu';

const POLICIES = { ignore: 0, skip: 1, halt: 2 } as const;
const HALTED_AT = 4;
const LEDGER_BYTES = 4 * LEDGER_HEAD + REMEMBERED / 8;

/** Checks gradients in one pass over each of them, and small kernels that put together what was found. */
export class BufferCheck implements FiniteCheck {
  private readonly findings: ScratchBuffer;
  private ledger: GPUBuffer | null;
  /** Updates in the last report, and those of them that were skipped. */
  private reported = 0;
  private reportedSkipped = 0;

  constructor(private readonly dispatcher: Dispatcher) {
    const { device } = dispatcher;
    this.findings = new ScratchBuffer(device, 'findings about gradients');
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.ledger = device.device.createBuffer({ label: 'ledger of updates', size: LEDGER_BYTES, usage });
  }

  check(gradients: readonly NumberedGradient[], limits: CheckLimits): CheckResult {
    const { device } = this.dispatcher;
    const { globalNorm, onNonFinite } = limits;
    device.requireLive();
    // Before anything changes: commands with a buffer that is too large are lost, and all that come with them.
    for (const { gradient } of gradients)
      requireBindable(this.dispatcher.limits, [device.buffer(gradient)], gradient.shape);
    if (globalNorm === undefined && onNonFinite === 'ignore') return { factor: null, proceed: null };
    // One workgroup's worth of findings per gradient, one for all of them, and room for those that are put together.
    const kept = gradients.length * CHECK_THREADS;
    const [collected, loose] = [kept, kept + CHECK_THREADS];
    const most = gradients.reduce((found, { gradient }) => Math.max(found, threadsFor(gradient.size)), 0);
    const findings = this.findings.atLeast((loose + most) * FINDING);
    for (const [i, { id, gradient }] of gradients.entries()) {
      this.examine(gradient, id, limits, findings, i * CHECK_THREADS, loose);
    }
    this.add(collectShader, [findings], { findings: kept, to: collected });
    const [factor, proceed] = [device.allocate([]), device.allocate([])];
    const buffers = [findings, this.ledger!, device.buffer(factor), device.buffer(proceed)];
    const norm = floatBits(globalNorm ?? Number.POSITIVE_INFINITY);
    this.add(decideShader, buffers, { policy: POLICIES[onNonFinite], norm, from: collected });
    if (globalNorm === undefined) factor.dispose();
    if (onNonFinite === 'ignore') proceed.dispose();
    return {
      factor: globalNorm === undefined ? null : factor,
      proceed: onNonFinite === 'ignore' ? null : proceed,
    };
  }

  private examine(
    gradient: Tensor,
    id: number,
    { clipValue, globalNorm }: CheckLimits,
    findings: GPUBuffer,
    to: number,
    loose: number,
  ): void {
    const threads = threadsFor(gradient.size);
    const buffers = [this.dispatcher.device.buffer(gradient), findings];
    const isLast = threads === CHECK_THREADS;
    const width = gradient.size % 4 === 0 ? 4 : 1;
    const limits = { sums: globalNorm !== undefined, limits: clipValue !== undefined, width } as const;
    const limit = floatBits(clipValue ?? 0);
    const numbers = { limit, threads, size: gradient.size / width, to: isLast ? to : loose, id };
    this.add(examineShader(limits), buffers, numbers, threads / CHECK_THREADS);
    if (!isLast) this.add(gatherShader, [findings], { threads, from: loose, to, id });
  }

  private add(
    shader: Shader,
    buffers: readonly GPUBuffer[],
    numbers: Readonly<Record<string, number>>,
    groups = 1,
  ): void {
    const numberFor = ({ source }: Field): number => (source.from === 'dispatch' ? numbers[source.name]! : 0);
    this.dispatcher.dispatch(shader, buffers, numberFor, [groups, 1, 1]);
  }

  async report(): Promise<CheckReport> {
    if (this.ledger === null) return { skipped: 0, halted: null, latest: [] };
    const ledger = new Uint32Array(await this.dispatcher.device.read(this.ledger));
    const [skipped, halted, checked] = ledger as unknown as [number, number, number];
    const latest = this.since(ledger, checked, skipped);
    [this.reported, this.reportedSkipped] = [checked, skipped];
    return { skipped, halted: halted === 0 ? null : halted - 1, latest };
  }

  /** For each update after the last report whether it was skipped. */
  private since(ledger: Uint32Array, checked: number, skipped: number): readonly boolean[] {
    const first = Math.max(this.reported, checked - REMEMBERED);
    const latest = Array.from({ length: checked - first }, (_, i) => {
      const nth = first + i;
      return ((ledger[LEDGER_HEAD + (Math.floor(nth / 32) % (REMEMBERED / 32))]! >>> (nth % 32)) & 1) === 1;
    });
    // Of those before nobody knows which they were: they count as the first.
    const forgotten = skipped - this.reportedSkipped - latest.filter(isSkipped => isSkipped).length;
    return [...Array.from({ length: first - this.reported }, (_, i) => i < forgotten), ...latest];
  }

  resume(): void {
    if (this.ledger !== null) this.dispatcher.device.recordClear(this.ledger, HALTED_AT, 4);
  }

  dispose(): void {
    if (this.ledger === null) return;
    this.findings.destroy();
    this.dispatcher.device.submit();
    this.ledger.destroy();
    this.ledger = null;
  }
}

/** Whole workgroups, so that every thread has a finding. */
function threadsFor(size: number): number {
  const wanted = Math.ceil(size / (CHECK_THREADS * ENTRIES_PER_THREAD)) * CHECK_THREADS;
  return Math.max(CHECK_THREADS, Math.min(MOST_THREADS, wanted));
}

const bits = new Float32Array(1);
const bitsAsInteger = new Uint32Array(bits.buffer);

/** A float32 as the integer of the same bits. */
function floatBits(value: number): number {
  bits[0] = value;
  return bitsAsInteger[0]!;
}

/** What a look at a gradient is for. */
interface Examination {
  /** The norm is wanted. */
  readonly sums: boolean;
  /** Entries are limited before they go into the norm. */
  readonly limits: boolean;
  readonly width: Width;
}

const examinations = new Map<string, Shader>();

/** Looks at one gradient. Magnitudes are compared as bits, since WGSL may assume that no number is NaN. */
function examineShader({ sums, limits, width }: Examination): Shader {
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
const gatherShader: Shader = (() => {
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
const collectShader: Shader = (() => {
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
 * Decides whether the update happens. `policy` is 0 to ignore, 1 to skip, 2 to halt. The ledger holds the number of updates
 * that were skipped, the number after that of the gradient that halted (0 while none has), the number of updates that were
 * checked for NaN and Inf, and for each of the last {@link REMEMBERED} of these a bit: 1 when it was skipped.
 */
const decideShader: Shader = (() => {
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
