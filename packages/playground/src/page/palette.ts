/** Colors of the style sheet, as the canvas needs them. */
export interface Palette {
  readonly soft: string;
  readonly rule: string;
  readonly card: string;
  readonly series: readonly string[];
}

/** Optimizers that have a color of their own. */
const SERIES = 4;

/** The colors in force: they change with the reader's light or dark scheme. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    soft: color('soft'),
    rule: color('rule'),
    card: color('card'),
    series: Array.from({ length: SERIES }, (_, i) => color(`c${i}`)),
  };
}
