import {
  type Code,
  type FunctionScope,
  f32x4,
  integers,
  type Local,
  sequence,
  type ValueType,
} from '@frugaljs/wasm-assembly';
import { GraphEmitter } from './graph-emitter.js';
import { type KernelCall, numberParameter } from './kernel-signature.js';
import { neededFor } from './stages.js';

/** One tier of a split: what it computes, and which of its tensors have its own size instead of the parameter's. */
export interface TierSpec extends KernelCall {
  readonly compact: ReadonlySet<string>;
}

/** Names of the tensors a tier reads or writes; a result lies where the input of the same name does. */
export function tierTensors({ signature }: TierSpec): readonly string[] {
  return [...new Set([...signature.inputs, ...signature.outputs])];
}

/** Name of the parameter that carries the address of a tensor. */
export const addressParameter = (tensor: string): string => `at ${tensor}`;

/** The parameters that carry a tier's tensors and numbers, in the order of the call. */
export function tierParameters(tier: TierSpec): Record<string, ValueType> {
  return {
    ...integers(...tierTensors(tier).map(addressParameter)),
    ...Object.fromEntries(tier.signature.numbers.map(id => [numberParameter(id), 'f32' as const])),
  };
}

/** The operations of a tier, with loads and stores as the caller wants them. */
export class TierEmitter {
  private readonly emitter: GraphEmitter;
  private readonly needed: readonly number[];

  constructor(
    private readonly tier: TierSpec,
    private readonly locals: Readonly<Record<string, Local>>,
    scope: FunctionScope,
  ) {
    this.emitter = new GraphEmitter(tier.graph, scope);
    const targets = Object.values(tier.graph.outputs).map(output => output.node);
    this.needed = neededFor(tier.graph, targets);
  }

  /** Numbers into all lanes. */
  numbers(): Code {
    const { numbers } = this.tier.signature;
    return sequence(...numbers.map(id => this.emitter.value(id).set(f32x4.splat(this.locals[numberParameter(id)]!))));
  }

  /** The variable that holds an input that was loaded. */
  input(tensor: string): Local {
    return this.emitter.value(this.tier.graph.nodes.findIndex(node => node.op === 'input' && node.name === tensor));
  }

  /** Loads, computes, then stores, so that a result may lie over an input. */
  body(load: (tensor: string) => Code, store: (tensor: string, value: Local) => Code): Code {
    const { graph, signature } = this.tier;
    const known = new Set(signature.numbers);
    const computed = this.needed.filter(id => !known.has(id) && graph.nodes[id]!.extent !== 'host');
    return sequence(
      ...computed.map(id => {
        const node = graph.nodes[id]!;
        return node.op === 'input' ? this.emitter.value(id).set(load(node.name)) : this.emitter.compute(id);
      }),
      ...Object.entries(graph.outputs).map(([name, { node }]) => store(name, this.emitter.value(node))),
    );
  }
}
