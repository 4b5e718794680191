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
const unpublished = [/source|paper/i, 'unpublished'];

/** @type {Record<'rule' | 'state-free-rule' | 'projector', Primitive>} */
export const primitives = {
  rule: {
    template: 'rule',
    package: 'state-full',
    entry: camel =>
      `{ kind: '${camel}', factory: ${camel}, source: 'unpublished', stateBytes: perElement(1), stateFormula: '4 m n' }`,
    cells: [
      unpublished,
      [/direction/i, 'μ m + g'],
      [/state/i, '4 m n'],
      [/option/i, '`momentum`'],
      [/default/i, '`0.9`'],
      [/meaning/i, 'decay μ of the momentum'],
    ],
  },
  'state-free-rule': {
    template: 'state-free-rule',
    package: 'state-free',
    entry: camel => `{ kind: '${camel}', factory: ${camel}, source: 'unpublished', formula: 'min(max(g, -c), c)' }`,
    cells: [
      unpublished,
      [/direction/i, 'min(max(g, −c), c)'],
      [/size/i, 'entries in [−c, c]'],
      [/option/i, '`limit`'],
      [/default/i, '`1`'],
      [/meaning/i, 'c, the largest magnitude of an entry'],
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
      [/subspace|summary|what/i, 'the first rows'],
      [/parameters/i, 'any'],
      [/slot|state/i, 'K·n, K = trunc(ρm)'],
      [/basis/i, '4·K'],
      [/saved|checkpoint/i, 'nothing'],
      [/option/i, '`density`'],
      [/default/i, '`0.25`'],
      [/meaning/i, 'share ρ of the rows'],
    ],
  },
};
