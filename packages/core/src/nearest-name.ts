/** What other libraries call the options, names and rules here: these come before names that merely look alike. */
const ELSEWHERE: ReadonlyMap<string, readonly string[]> = new Map([
  ['adam', ['adamW']],
  ['betas', ['beta1']],
  ['clipnorm', ['globalNorm', 'clip']],
  ['eps', ['epsilon']],
  ['lambda', ['weightDecay']],
  ['lr', ['learningRate', 'peak', 'lrScale']],
  ['maxnorm', ['globalNorm']],
  ['params', ['match']],
  ['ratio', ['density']],
  ['rho', ['density']],
  ['rank', ['density']],
  ['stepsize', ['learningRate']],
  ['updateproj', ['updateGap']],
  ['wd', ['weightDecay']],
]);

/**
 * The known name that somebody may have meant by an unknown one: what it is called elsewhere, the same but for case and
 * hyphens, the beginning of one another, or a slip of the pen (Damerau–Levenshtein distance of at most a third of the
 * letters). `null` where none is near.
 */
export function nearestName(name: string, known: readonly string[]): string | null {
  const sought = plain(name);
  const alias = ELSEWHERE.get(sought)?.find(candidate => known.includes(candidate));
  if (alias !== undefined) return alias;
  const ranked = known
    .map(candidate => ({ candidate, distance: distance(sought, plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best !== undefined && Number.isFinite(best.distance) ? best.candidate : null;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Infinity where the names are too far apart to be taken for one another. */
function distance(a: string, b: string): number {
  if (a === b) return 0;
  const [shorter, longer] = a.length < b.length ? [a, b] : [b, a];
  if (shorter.length >= 3 && longer.startsWith(shorter)) return 0.5;
  const edits = editDistance(a, b);
  return edits <= Math.floor(longer.length / 3) ? edits : Number.POSITIVE_INFINITY;
}

/** Insertions, deletions, replacements and swaps of neighbors that make one text the other. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(replaced, swapped, rows[i - 1]![j]! + 1, row[j - 1]! + 1));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
