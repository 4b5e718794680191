/**
 * Rounds of an accumulation that the device left out because a gradient was not finite. The host learns of them later,
 * in the order of their ordinals, which count rounds and updates alike.
 */
export class WithheldRounds {
  /** What was judged last when accumulated gradients were taken for an update. */
  private takenAt = 0;
  /** The last ones that came right after one another. */
  private row: readonly number[] = [];

  constructor(private readonly accumulate: number) {}

  /** The accumulated gradients have been taken, with all rounds up to this ordinal. */
  take(ordinal: number): void {
    this.takenAt = ordinal;
  }

  /** Notes a round; true when it is one of those being accumulated now. */
  add(ordinal: number): boolean {
    this.row = this.row.at(-1) === ordinal - 1 ? [...this.row, ordinal].slice(-this.accumulate) : [ordinal];
    return ordinal > this.takenAt;
  }

  /** True when the update of this ordinal was to be made of nothing but rounds that were left out. */
  makeUp(ordinal: number): boolean {
    return this.accumulate > 1 && this.row.at(-1) === ordinal - 1 && this.row.length >= this.accumulate;
  }
}
