/** Early on a model changes fast: these steps, and then every so many. */
const EARLY = [10, 25];
const EVERY = 50;

/** Whether the models write a text after this step. The last one always shows what was learned. */
export function isSampleStep(step: number, steps: number): boolean {
  return EARLY.includes(step) || step % EVERY === 0 || step === steps;
}
