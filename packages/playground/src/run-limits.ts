import type { RunSettings } from './protocol.js';

/** A whole number of the setup: its name on the page, and what it may be. */
export interface Limits {
  readonly title: string;
  readonly least: number;
  readonly most: number;
}

/** Settings that are whole numbers. */
export type WholeSetting = 'steps' | 'batchSize' | 'sequenceLength' | 'seed' | 'sampleLength';

/** The form says them to the browser, and the outline holds everybody to them. */
export const RUN_LIMITS: Readonly<Record<WholeSetting, Limits>> = {
  steps: { title: 'Steps', least: 2, most: 100_000 },
  batchSize: { title: 'Batch', least: 1, most: 256 },
  sequenceLength: { title: 'Context', least: 2, most: 512 },
  seed: { title: 'Seed', least: 0, most: Number.MAX_SAFE_INTEGER },
  sampleLength: { title: 'Length', least: 1, most: 1000 },
};

/** What is wrong with a whole number of the setup, in a sentence; null for nothing. */
export function mistakeIn(setting: WholeSetting, run: Pick<RunSettings, WholeSetting>): string | null {
  const { title, least, most } = RUN_LIMITS[setting];
  const found = run[setting];
  if (Number.isSafeInteger(found) && found >= least && found <= most) return null;
  const range =
    most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${new Intl.NumberFormat('en').format(most)}`;
  return `${title}: expected a whole number, ${range}; found ${Number.isNaN(found) ? 'no number' : found}.`;
}
