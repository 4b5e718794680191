import { ShapeMismatchError, type Site, sameShape, slotShape, type TensorRule } from '@frugaljs/core';
import { fill, type Tensor } from '@tensorflow/tfjs-core';
import { BoundLeaf } from './bound-leaf.js';
import type { StepContext } from './bound-rule.js';
import type { StateReader } from './saved-state.js';
import type { Carry } from './slot-state.js';

/** A tensor rule at work. */
export class BoundTensorRule extends BoundLeaf {
  constructor(
    private readonly rule: TensorRule,
    site: Site,
  ) {
    super(rule.state(site.shape), site);
  }

  step(g: Tensor, { verdict }: StepContext): Tensor {
    const { shape } = this;
    const inputs: Record<string, Tensor | number> = { g };
    this.slots.addTo(inputs);
    const tensors: Record<string, Tensor> = { g };
    for (const [name, spec] of Object.entries(this.slots.specs)) {
      const value = inputs[name]!;
      tensors[name] = typeof value === 'number' ? fill([...slotShape(spec.extent, shape)], value) : value;
    }
    const scalars = this.rule.scalars?.(this.slots.t + 1, shape) ?? {};
    const outputs: Readonly<Record<string, Tensor>> = this.rule.step(tensors as { g: Tensor }, scalars, shape);
    this.requireShapes(outputs);
    this.slots.commit(this.withoutInputs(outputs, tensors), verdict);
    return outputs['direction']!;
  }

  /** Its scalars are numbers, so all coordinates share one step counter. */
  override transport(carry: Carry): void {
    super.transport(carry, null);
  }

  override restore(path: string, from: StateReader): void {
    super.restore(path, from, {});
  }

  /** A slot that a step hands back unchanged must not be disposed with its old value. */
  private withoutInputs(
    outputs: Readonly<Record<string, Tensor>>,
    inputs: Readonly<Record<string, Tensor>>,
  ): Record<string, Tensor> {
    const isInput = new Set(Object.values(inputs));
    return Object.fromEntries(
      Object.entries(outputs).map(([name, tensor]) => [name, isInput.has(tensor) ? tensor.clone() : tensor]),
    );
  }

  private requireShapes(outputs: Readonly<Record<string, Tensor>>): void {
    const { shape } = this;
    const expected = { direction: shape } as Record<string, readonly number[]>;
    for (const [name, spec] of Object.entries(this.slots.specs)) expected[name] = slotShape(spec.extent, shape);
    for (const [name, wanted] of Object.entries(expected)) {
      const found = outputs[name]?.shape;
      if (found === undefined || !sameShape(found, wanted)) {
        throw new ShapeMismatchError({
          parameter: `${this.rule.kind}.step: ${name}`,
          found: found === undefined ? 'nothing' : `shape [${found}]`,
          expected: `shape [${wanted}]`,
        });
      }
    }
  }
}
