import type { Extent } from '@frugaljs/core';
import type { GraphBody, Sources } from '../wgsl/graph-body.js';
import { type Access, FLOAT, type ShaderWriter, type Width } from '../wgsl/shader.js';

/** The buffers of a run by name. Names of the same tensor share one. */
export class RunBuffers {
  private readonly slots: readonly number[];
  private readonly positions: ReadonlyMap<string, number>;

  /**
   * @param names Inputs as `in name`, results as `out name`.
   * @param same For each name the position of the first name of the same tensor.
   */
  constructor(
    readonly names: readonly string[],
    same: readonly number[],
  ) {
    this.slots = same;
    this.positions = new Map(names.map((name, i) => [name, i]));
  }

  /** Which tensor a name stands for. */
  slot(name: string): number {
    return this.slots[this.positions.get(name)!]!;
  }
}

/** The buffers that one kernel binds, declared as its text asks for them. */
export class PassBuffers {
  /** Tensors by their slot in {@link RunBuffers}; -1 is the scratch memory. */
  readonly slots: number[] = [];
  private readonly accessors = new Map<number, string>();

  constructor(
    private readonly buffers: RunBuffers,
    private readonly writer: ShaderWriter,
    /** Slots that the kernel writes, and so binds for both. */
    private readonly written: ReadonlySet<number>,
    /** Entries side by side that make an element of a tensor's buffer. */
    private readonly width: Width = 1,
  ) {}

  tensor(name: string, extent: Extent): string {
    const slot = this.buffers.slot(name);
    return this.bind(slot, this.written.has(slot) ? 'read_write' : 'read', extent === 'tensor');
  }

  scratch(): string {
    return this.bind(-1, 'read_write', false);
  }

  private bind(slot: number, access: Access, isShared: boolean): string {
    let accessor = this.accessors.get(slot);
    if (accessor === undefined) {
      accessor = this.writer.buffer(access, isShared || slot === -1 ? FLOAT[1] : FLOAT[this.width]);
      this.accessors.set(slot, accessor);
      this.slots.push(slot);
    }
    return accessor;
  }
}

/** The names of the position of the entry at hand. */
export const POSITION: Readonly<Record<Extent, string>> = {
  element: 'at',
  row: 'row',
  column: 'column',
  tensor: '0u',
};

/** Loads inputs and earlier results at the position at hand. */
export function sourcesAt(buffers: PassBuffers, writer: ShaderWriter, filled: ReadonlySet<string>): Sources {
  return {
    input: ({ name, extent }) =>
      filled.has(name) ? writer.filled(name) : `${buffers.tensor(`in ${name}`, extent)}[${POSITION[extent]}]`,
    reduced: ({ extent }, id) => {
      const place = extent === 'tensor' ? '' : ` + ${POSITION[extent]}`;
      return `${buffers.scratch()}[${writer.scratchOffset(id)}${place}]`;
    },
  };
}

/** The statements of a body so far, indented. */
export function text(body: GraphBody, indent = '  '): string {
  return body.lines.map(line => indent + line).join('\n');
}
