/** How a kernel uses a buffer. */
export type Access = 'read' | 'read_write';

/** Where the value of a uniform comes from at a dispatch. */
export type FieldSource =
  | { readonly from: 'dispatch'; readonly name: string }
  | { readonly from: 'node'; readonly tier: number; readonly id: number }
  | { readonly from: 'filled'; readonly name: string }
  | { readonly from: 'scratch'; readonly id: number };

/** One uniform: a 32-bit number. */
export interface Field {
  readonly type: 'u32' | 'f32';
  readonly source: FieldSource;
}

/** The text of a kernel and what it has to be given. Its uniforms are binding 0, its buffers those from 1 on. */
export interface Shader {
  readonly code: string;
  readonly fields: readonly Field[];
  readonly accesses: readonly Access[];
}

/** Functions that the operations of a graph are written in. WGSL may assume that no number is NaN; bits do not lie. */
const FUNCTIONS = `
fn isNaN(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn isTrue(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) != 0u; }
fn quietNaN(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u); }
fn expOf(x: f32) -> f32 { return select(exp(x), x, isNaN(x)); }
fn logOf(x: f32) -> f32 { return select(log(x), quietNaN(x), x < 0.0 || isNaN(x)); }
fn signOf(x: f32) -> f32 { return select(select(0.0, 1.0, x > 0.0) - select(0.0, 1.0, x < 0.0), x, isNaN(x)); }
fn larger(x: f32, y: f32) -> f32 { return select(select(max(x, y), y, isNaN(y)), x, isNaN(x)); }
fn smaller(x: f32, y: f32) -> f32 { return select(select(min(x, y), y, isNaN(y)), x, isNaN(x)); }
`;

/** Collects the declarations of a kernel while its body is written. */
export class ShaderWriter {
  private readonly fields: Field[] = [];
  private readonly names = new Map<string, string>();
  private readonly buffers: { readonly element: string; readonly access: Access }[] = [];
  private readonly shared: string[] = [];

  /** A number of the dispatch, such as `rows`. */
  dimension(name: string): string {
    return this.field(`d_${name.replace(' ', '_')}`, { type: 'u32', source: { from: 'dispatch', name } });
  }

  /** The value of a host node. */
  hostNumber(tier: number, id: number): string {
    return this.field(`n_${tier}_${id}`, { type: 'f32', source: { from: 'node', tier, id } });
  }

  /** An input that was given as a number. */
  filled(name: string): string {
    return this.field(`f_${this.names.size}`, { type: 'f32', source: { from: 'filled', name } }, `filled ${name}`);
  }

  /** Where in the scratch memory the result of a reduction lies. */
  scratchOffset(id: number): string {
    return this.field(`s_${id}`, { type: 'u32', source: { from: 'scratch', id } });
  }

  /** The next buffer; the order of the calls is that of the bindings. */
  buffer(access: Access, element = 'f32'): string {
    this.buffers.push({ element, access });
    return `b${this.buffers.length}`;
  }

  /** Memory of the workgroup. */
  workgroupMemory(element: string, length: number): string {
    const name = `shared${this.shared.length}`;
    this.shared.push(`var<workgroup> ${name}: array<${element}, ${length}>;`);
    return name;
  }

  /** @param size Threads of a workgroup along x and y. */
  finish([x, y]: readonly [number, number], body: string): Shader {
    // A struct without members is not allowed.
    if (this.fields.length === 0) this.dimension('rows');
    const members = [...this.names.values()].map((name, i) => `  ${name}: ${this.fields[i]!.type},`);
    const buffers = this.buffers.map(
      ({ element, access }, i) => `@group(0) @binding(${i + 1}) var<storage, ${access}> b${i + 1}: array<${element}>;`,
    );
    const code = `struct Numbers {
${members.join('\n')}
}
@group(0) @binding(0) var<uniform> p: Numbers;
${buffers.join('\n')}
${this.shared.join('\n')}
${FUNCTIONS}
@compute @workgroup_size(${x}, ${y})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
${body}
}
`;
    return { code, fields: this.fields, accesses: this.buffers.map(({ access }) => access) };
  }

  private field(name: string, field: Field, key = name): string {
    let known = this.names.get(key);
    if (known === undefined) {
      known = name;
      this.names.set(key, name);
      this.fields.push(field);
    }
    return `p.${known}`;
  }
}
