/**
 * Checks that a factory made a part with all its members, before any law is tried on it.
 *
 * @param what Such as `a projector`.
 * @throws TypeError that names the members that are missing.
 */
export function requireMade<Part>(what: string, made: Part, members: readonly (keyof Part & string)[]): Part {
  if (typeof made !== 'object' || made === null) {
    throw new TypeError(`The factory returns ${typeof made === 'function' ? 'a function' : made}, expected ${what}.`);
  }
  const missing = members.filter(member => made[member] === undefined);
  if (missing.length === 0) return made;
  const found = made instanceof Promise ? 'a Promise' : `{ ${Object.keys(made).join(', ')} }`;
  throw new TypeError(`The factory returns ${found}, expected ${what}, which also has: ${missing.join(', ')}.`);
}
