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
