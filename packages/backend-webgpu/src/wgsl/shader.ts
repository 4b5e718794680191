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

/** Entries that a value of a kernel stands for: one, or four side by side. */
export type Width = 1 | 4;

/** The types of floats, integers and truths of a width. */
export const FLOAT: Readonly<Record<Width, string>> = { 1: 'f32', 4: 'vec4<f32>' };
const BITS: Readonly<Record<Width, string>> = { 1: 'u32', 4: 'vec4<u32>' };
const TRUTH: Readonly<Record<Width, string>> = { 1: 'bool', 4: 'vec4<bool>' };

/**
 * Functions that the operations of a graph are written in, with the width in their names. WGSL may assume that no number
 * is NaN, and its functions of NaN and of numbers outside their domain give anything; bits do not lie.
 */
function functions(width: Width): string {
  const [f, u, b] = [FLOAT[width], BITS[width], TRUTH[width]];
  const [zero, one] = [`${f}(0.0)`, `${f}(1.0)`];
  return `fn isNaN${width}(x: ${f}) -> ${b} { return (bitcast<${u}>(x) & ${u}(0x7fffffffu)) > ${u}(0x7f800000u); }
fn isTrue${width}(x: ${f}) -> ${b} { return (bitcast<${u}>(x) & ${u}(0x7fffffffu)) != ${u}(0u); }
fn areNumbers${width}(x: ${f}, y: ${f}) -> ${b} { return !(isNaN${width}(x) | isNaN${width}(y)); }
fn quietNaN${width}(x: ${f}) -> ${f} { return bitcast<${f}>(bitcast<${u}>(x) | ${u}(0x7fc00000u)); }
fn expOf${width}(x: ${f}) -> ${f} { return select(exp(x), x, isNaN${width}(x)); }
fn logOf${width}(x: ${f}) -> ${f} { return select(log(x), quietNaN${width}(x), (x < ${zero}) | isNaN${width}(x)); }
fn signOf${width}(x: ${f}) -> ${f} {
  return select(select(${zero}, ${one}, x > ${zero}) - select(${zero}, ${one}, x < ${zero}), x, isNaN${width}(x));
}
fn larger${width}(x: ${f}, y: ${f}) -> ${f} { return select(select(max(x, y), y, isNaN${width}(y)), x, isNaN${width}(x)); }
fn smaller${width}(x: ${f}, y: ${f}) -> ${f} { return select(select(min(x, y), y, isNaN${width}(y)), x, isNaN${width}(x)); }
`;
}

/** Collects the declarations of a kernel while its body is written. */
export class ShaderWriter {
  private readonly fields: Field[] = [];
  private readonly names = new Map<string, string>();
  private readonly buffers: { readonly element: string; readonly access: Access }[] = [];

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

  /**
   * @param size Threads of a workgroup along x and y.
   * @param width Entries that a value of the body may stand for.
   */
  finish([x, y]: readonly [number, number], body: string, width: Width = 1): Shader {
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
${functions(1)}${width === 1 ? '' : functions(width)}
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
