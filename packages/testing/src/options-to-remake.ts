/**
 * The options with which a factory makes its part again, as a configuration file would: those that the part describes
 * itself by, through JSON. A factory that takes others, and translates them, is asked with what was drawn: it is one when
 * the part has options and none of them is among those drawn.
 */
export function optionsToRemake(drawn: unknown, own: object): unknown {
  const names = Object.keys((drawn ?? {}) as object);
  const translated = Object.keys(own).length > 0 && names.length > 0 && !names.some(name => name in own);
  return JSON.parse(JSON.stringify((translated ? drawn : own) ?? null));
}

/** Whether JSON gives back what it is given: no functions, maps, sets, NaN or infinities anywhere in it. */
export function survivesJson(value: unknown): boolean {
  if (typeof value === 'function' || value instanceof Map || value instanceof Set) return false;
  if (typeof value === 'number') return Number.isFinite(value);
  return typeof value !== 'object' || value === null || Object.values(value).every(survivesJson);
}
