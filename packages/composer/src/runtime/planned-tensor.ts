/** One tensor of a rule's state, before it exists. */
export interface PlannedTensor {
  readonly path: string;
  readonly shape: readonly number[];
  readonly role: 'slot' | 'basis';
}
