/**
 * The four spellings of a primitive's name.
 *
 * @typedef {{ camel: string, pascal: string, kebab: string, upper: string }} Names
 */

/**
 * @param {string} name camelCase or kebab-case, such as `heavyBall` or `heavy-ball`
 * @returns {Names}
 * @throws {Error} if it is neither
 */
export function namesOf(name) {
  if (!/^[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)*$/.test(name) && !/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name)) {
    throw new Error(`name: found '${name}', expected camelCase or kebab-case, such as heavyBall or heavy-ball`);
  }
  const camel = name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  const kebab = name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
  const upper = kebab.toUpperCase().replaceAll('-', '_');
  return { camel, pascal: camel.charAt(0).toUpperCase() + camel.slice(1), kebab, upper };
}

/**
 * @param {string} text
 * @param {Names} from
 * @param {Names} to
 */
export function rename(text, from, to) {
  return text
    .replaceAll(from.kebab, to.kebab)
    .replaceAll(from.pascal, to.pascal)
    .replaceAll(from.camel, to.camel)
    .replaceAll(from.upper, to.upper);
}
