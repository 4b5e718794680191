import type { CheckLimits, CheckReport, CheckResult, FiniteCheck, NumberedGradient } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Dispatcher } from '../device/dispatcher.js';
import type { Field, Shader } from '../wgsl/shader.js';
import {
  CHECK_THREADS,
  collectShader,
  decideShader,
  ENTRIES_PER_THREAD,
  examineShader,
  FINDING,
  gatherShader,
  LEDGER_HEAD,
  MOST_THREADS,
  REMEMBERED,
} from './check-shaders.js';
import { type DeviceLimits, limitsOf, requireBindable } from './device-limits.js';
import { ScratchBuffer } from './scratch.js';

const POLICIES = { ignore: 0, skip: 1, halt: 2 } as const;
const HALTED_AT = 4;
const LEDGER_BYTES = 4 * LEDGER_HEAD + REMEMBERED / 8;

const bits = new Float32Array(1);
const bitsAsInteger = new Uint32Array(bits.buffer);

/** A float32 as the integer of the same bits. */
export function floatBits(value: number): number {
  bits[0] = value;
  return bitsAsInteger[0]!;
}

/** Judges gradients in one pass over each of them, and small kernels that put together what was found. */
export class BufferCheck implements FiniteCheck {
  private readonly findings: ScratchBuffer;
  private ledger: GPUBuffer | null;
  /** Updates in the last report, and those of them that were skipped. */
  private reported = 0;
  private reportedSkipped = 0;

  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly limits: DeviceLimits = limitsOf(dispatcher.device),
  ) {
    const { device } = dispatcher.device;
    this.findings = new ScratchBuffer(device, 'findings about gradients', () => dispatcher.device.submit());
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.ledger = device.createBuffer({ label: 'ledger of updates', size: LEDGER_BYTES, usage });
  }

  check(gradients: readonly NumberedGradient[], limits: CheckLimits): CheckResult {
    const { device } = this.dispatcher;
    const { globalNorm, onNonFinite } = limits;
    device.requireLive();
    // Before anything changes: commands with a buffer that is too large are lost, and all that come with them.
    for (const { gradient } of gradients) requireBindable(this.limits, [device.buffer(gradient)], gradient.shape);
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
    const [skipped, halted, judged] = ledger as unknown as [number, number, number];
    const latest = this.since(ledger, judged, skipped);
    [this.reported, this.reportedSkipped] = [judged, skipped];
    return { skipped, halted: halted === 0 ? null : halted - 1, latest };
  }

  /** For each update after the last report whether it was skipped. */
  private since(ledger: Uint32Array, judged: number, skipped: number): readonly boolean[] {
    const first = Math.max(this.reported, judged - REMEMBERED);
    const latest = Array.from({ length: judged - first }, (_, i) => {
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
