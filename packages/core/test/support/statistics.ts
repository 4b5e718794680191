/** Draws of one statistical test. */
export const SAMPLES = 60_000;

/**
 * Pearson's statistic of equally likely categories, in standard deviations from its mean: with many samples it is close
 * to normal. Seeds are fixed, so a test either always passes or always fails.
 */
export function deviation(counts: Iterable<number>): number {
  const observed = [...counts];
  const total = observed.reduce((sum, count) => sum + count, 0);
  const expected = total / observed.length;
  const statistic = observed.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const freedom = observed.length - 1;
  return (statistic - freedom) / Math.sqrt(2 * freedom);
}

/** How often each of the categories is drawn. Anything else is an error. */
export function tally(categories: Iterable<string>, draw: (i: number) => string, samples = SAMPLES): number[] {
  const counts = new Map([...categories].map(category => [category, 0]));
  for (let i = 0; i < samples; i++) {
    const category = draw(i);
    const count = counts.get(category);
    if (count === undefined) throw new Error(`unexpected outcome ${category}`);
    counts.set(category, count + 1);
  }
  return [...counts.values()];
}
