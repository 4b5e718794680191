// What can be generated: the template, the package that it goes to, and what tables say of it until its author knows
// better. `entry` is the row of the package's src/table.ts, `cells` are the cells of its README's table by column title.

/**
 * @typedef {object} Primitive
 * @property {string} template folder under templates/, and the kebab-case name that the template's files use
 * @property {string} package folder under packages/
 * @property {(camel: string) => string} entry
 * @property {[title: RegExp, cell: string][]} cells the first title that matches a column gives its cell
 */

/** @type {[RegExp, string]} */
const unpublished = [/source|paper|published|reference/i, 'unpublished'];

/** @type {Record<'rule' | 'state-free-rule' | 'projector', Primitive>} */
export const primitives = {
  rule: {
    template: 'rule',
    package: 'state-full',
    entry: camel =>
      `{ kind: '${camel}', factory: ${camel}, source: 'unpublished', stateBytes: perElement(1), stateFormula: '4 m n' }`,
    cells: [
      unpublished,
      [/state|bytes|memory/i, '4 m n'],
      [/option/i, '`momentum`'],
      [/direction|formula/i, 'μ m + g'],
    ],
  },
  'state-free-rule': {
    template: 'state-free-rule',
    package: 'state-free',
    entry: camel => `{ kind: '${camel}', factory: ${camel}, source: 'unpublished', formula: 'min(max(g, -c), c)' }`,
    cells: [
      unpublished,
      [/state|bytes|memory/i, '0'],
      [/option/i, '`limit`'],
      [/direction|formula/i, 'min(max(g, −c), c)'],
    ],
  },
  projector: {
    template: 'projector',
    package: 'projectors',
    entry: camel => `${camel}: {
    create: options => ${camel}(options),
    summary: 'the first rows',
    parameters: 'any',
    slot: 'K·n, K = trunc(ρm)',
    basis: '4·K',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'unpublished',
  }`,
    cells: [
      unpublished,
      [/basis|bytes|memory/i, 'K int32'],
      [/option/i, '`density`'],
      [/subspace|what|keeps/i, 'the first rows'],
    ],
  },
};
