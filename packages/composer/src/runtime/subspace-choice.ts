import type { Basis, Shape, SplitAxis } from '@frugaljs/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { coordinatesOf, disposeBasis } from './basis-tensors.js';
import { BoundExpression } from './bound-expression.js';
import type { BoundRule } from './bound-rule.js';
import { CoordinateAges } from './coordinate-ages.js';

/** The inside of a subspace. */
export interface Inside {
  readonly basis: Basis;
  readonly rule: BoundRule;
  /** Shape of the gradient inside. */
  readonly reduced: Shape;
  /** The subspace is the whole space, so that the residual is exactly zero. */
  readonly isComplete: boolean;
  /** The coordinates, where they will be needed and cannot be read back. */
  readonly indices: Int32Array | null;
}

/** What a subspace has of a parameter until it changes. */
export class SubspaceChoice {
  private onHost: Int32Array | null = null;

  /**
   * @param inside Null while nothing of the parameter is in the subspace.
   * @param isOfCoordinates It is spanned by coordinates.
   * @param full Shape of the parameter.
   */
  constructor(
    readonly refreshIndex: number,
    readonly inside: Inside | null,
    private readonly isOfCoordinates: boolean,
    private readonly full: Shape,
  ) {}

  /** True when there is no residual. */
  get isComplete(): boolean {
    return this.inside?.isComplete ?? false;
  }

  /** None of the parameter, all, some of its coordinates, or (for all else) linear combinations. */
  membership(): 'inactive' | 'complete' | 'split' | 'dense' {
    if (this.inside === null) return 'inactive';
    if (!this.isOfCoordinates) return 'dense';
    if (this.inside.isComplete) return 'complete';
    return this.inside.basis['indices']?.dtype === 'int32' ? 'split' : 'dense';
  }

  /** The rule inside, when it is an expression. */
  innerExpression(): BoundExpression | null {
    const rule = this.inside?.rule;
    return rule instanceof BoundExpression ? rule : null;
  }

  /** The tensors that describe the subspace; it must have an inside. */
  basis(): Basis {
    return this.inside!.basis;
  }

  /** The int32 indices of a split. */
  coordinates(): Tensor {
    return this.basis()['indices']!;
  }

  /** The same on the host. Ask at the step that chose them: later they may be on the device alone. */
  coordinatesOnHost(): Int32Array {
    this.onHost ??= this.inside!.indices ?? coordinatesOf(this.basis())!;
    return this.onHost;
  }

  /** The axis along which a split selects. */
  axis(): SplitAxis {
    return CoordinateAges.axisOf(this.full, this.inside!.reduced, this.coordinates().size);
  }

  /** Frees what the next choice does not share. */
  dispose(next: SubspaceChoice | null): void {
    if (this.inside === null) return;
    const { basis, rule } = this.inside;
    if (basis !== next?.inside?.basis) disposeBasis(basis);
    if (rule !== next?.inside?.rule) rule.dispose();
  }
}
