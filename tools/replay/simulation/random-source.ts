/** Random numbers that follow from a seed alone. */
export class RandomSource {
  constructor(private state: number) {}

  /** In [0, 1). */
  uniform(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let x = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Standard normal, as a float32 value. */
  normal(): number {
    return Math.fround(Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform()));
  }

  normals(count: number): number[] {
    return Array.from({ length: count }, () => this.normal());
  }

  permutation(count: number): number[] {
    return Array.from({ length: count }, (_, value) => ({ value, key: this.uniform() }))
      .sort((a, b) => a.key - b.key)
      .map(({ value }) => value);
  }
}
