import type { GradientJudge, JudgeLimits, Judgement, JudgeReport, NumberedGradient } from '@frugaljs/core';
import type { Dispatcher } from '../device/dispatcher.js';
import type { Field } from '../wgsl/shader.js';
import {
  ENTRIES_PER_THREAD,
  examineShader,
  FINDING,
  JUDGE_THREADS,
  MOST_GROUPS,
  verdictShader,
} from './judge-shaders.js';
import { ScratchBuffer } from './scratch.js';

const POLICIES = { ignore: 0, withhold: 1, halt: 2 } as const;
const HALTED_AT = 4;

const bits = new Float32Array(1);
const bitsAsInteger = new Uint32Array(bits.buffer);

/** A float32 as the integer of the same bits. */
export function floatBits(value: number): number {
  bits[0] = value;
  return bitsAsInteger[0]!;
}

/** Judges gradients in two kernels: one pass over each gradient, and one workgroup for the verdict. */
export class BufferJudge implements GradientJudge {
  private readonly findings: ScratchBuffer;
  private ledger: GPUBuffer | null;

  constructor(private readonly dispatcher: Dispatcher) {
    const { device } = dispatcher.device;
    this.findings = new ScratchBuffer(device, 'findings about gradients', () => dispatcher.device.submit());
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.ledger = device.createBuffer({ label: 'ledger of updates', size: 16, usage });
  }

  judge(gradients: readonly NumberedGradient[], limits: JudgeLimits): Judgement {
    const { device } = this.dispatcher;
    const { clipValue = Number.POSITIVE_INFINITY, globalNorm, onNonFinite } = limits;
    if (globalNorm === undefined && onNonFinite === 'ignore') return { factor: null, proceed: null };
    const groups = gradients.map(({ gradient }) => groupsFor(gradient.size));
    const total = groups.reduce((sum, count) => sum + count, 0);
    const findings = this.findings.atLeast(total * FINDING);
    let first = 0;
    gradients.forEach(({ id, gradient }, i) => {
      const count = groups[i]!;
      const numbers = { limit: floatBits(clipValue), size: gradient.size, stride: count * JUDGE_THREADS, first, id };
      this.dispatcher.dispatch(examineShader, [device.buffer(gradient), findings], numberOf(numbers), [count, 1, 1]);
      first += count;
    });
    const [factor, proceed] = [device.allocate([]), device.allocate([])];
    const buffers = [findings, this.ledger!, device.buffer(factor), device.buffer(proceed)];
    const norm = floatBits(globalNorm ?? Number.POSITIVE_INFINITY);
    const numbers = { policy: POLICIES[onNonFinite], norm, findings: total };
    this.dispatcher.dispatch(verdictShader, buffers, numberOf(numbers), [1, 1, 1]);
    if (globalNorm === undefined) factor.dispose();
    if (onNonFinite === 'ignore') proceed.dispose();
    return {
      factor: globalNorm === undefined ? null : factor,
      proceed: onNonFinite === 'ignore' ? null : proceed,
    };
  }

  async report(): Promise<JudgeReport> {
    if (this.ledger === null) return { withheld: 0, halted: null };
    const [withheld, halted] = new Uint32Array(await this.dispatcher.device.read(this.ledger));
    return { withheld: withheld!, halted: halted === 0 ? null : halted! - 1 };
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

function groupsFor(size: number): number {
  return Math.max(1, Math.min(MOST_GROUPS, Math.ceil(size / (JUDGE_THREADS * ENTRIES_PER_THREAD))));
}

function numberOf(numbers: Readonly<Record<string, number>>): (field: Field) => number {
  return ({ source }) => (source.from === 'dispatch' ? numbers[source.name]! : 0);
}
