// What can be generated: the template, the package that it goes to, and what tables say of it until its author knows
// better.
import { insertBeforeTable, insertModuleStatement, insertSubPath, insertTableEntry } from './insert.mjs';

/**
 * @typedef {object} Primitive
 * @property {string} template folder under templates/, and the kebab-case name that the template's files use
 * @property {string} package folder under packages/
 * @property {string} folder where its source goes, within the package
 * @property {(names: import('./names.mjs').Names, read: (file: string) => string) => Edit[]} edits the files of the
 *   package that list such parts; `read` gives a further file of the template, renamed
 * @property {[title: RegExp, cell: string][]} cells of its row in the README: the first title that matches a column gives
 *   its cell
 * @property {string} [title] title of the first column of that table, where the README has several kinds of parts
 *
 * @typedef {[file: string, edit: (text: string) => string | null]} Edit null where there is nothing to add
 */

/** @type {[RegExp, string]} */
const unpublished = [/source|paper/i, 'unpublished'];

/**
 * A part of a package whose parts each are a sub-path: its index, its table and its exports list it.
 *
 * @param {(camel: string) => string} entry of the table
 * @returns {Primitive['edits']}
 */
const inFamily =
  entry =>
  ({ camel, pascal, kebab }) => {
    const module = `./${kebab}.js`;
    return [
      [
        'src/index.ts',
        text =>
          insertModuleStatement(text, 'export', `export { type ${pascal}Options, ${camel} } from '${module}';`, module),
      ],
      [
        'src/table.ts',
        text =>
          insertTableEntry(
            insertModuleStatement(text, 'import', `import { ${camel} } from '${module}';`, module),
            entry(camel),
          ),
      ],
      ['package.json', text => insertSubPath(text, kebab)],
    ];
  };

/** @type {Record<'rule' | 'state-free-rule' | 'projector' | 'combine' | 'recipe', Primitive>} */
export const primitives = {
  rule: {
    template: 'rule',
    package: 'state-full',
    folder: 'src',
    edits: inFamily(
      camel =>
        `{ kind: '${camel}', factory: ${camel}, source: 'unpublished', stateBytes: perElement(1), stateFormula: '4 m n' }`,
    ),
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
    folder: 'src',
    edits: inFamily(
      camel => `{ kind: '${camel}', factory: ${camel}, source: 'unpublished', formula: 'min(max(g, -c), c)' }`,
    ),
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
    folder: 'src',
    edits: inFamily(
      camel => `${camel}: {
    create: options => ${camel}(options),
    summary: 'the first rows',
    parameters: 'any',
    slot: 'K·n, K = trunc(ρm)',
    basis: '4·K',
    saved: 'nothing',
    example: { density: 0.25 },
    source: 'unpublished',
  }`,
    ),
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
  combine: {
    template: 'combine',
    title: 'combine',
    package: 'composer',
    folder: 'src/combine',
    edits: ({ camel, pascal, kebab }) => {
      const module = `./combine/${kebab}.js`;
      return [
        [
          'src/compose.ts',
          text =>
            insertModuleStatement(
              text,
              'export',
              `export { type ${pascal}Options, ${camel} } from '${module}';`,
              module,
            ),
        ],
        [
          'src/built-ins.ts',
          text =>
            `${insertModuleStatement(text, 'import', `import { ${camel} } from '${module}';`, module).trimEnd()}
register('combine', '${camel}', options => ${camel}(options), true);
`,
        ],
      ];
    },
    cells: [unpublished, [/direction/i, 'up(d) + scale · R'], [/option/i, '`scale` 1, `tolerance` 1e-6']],
  },
  recipe: {
    template: 'recipe',
    title: 'recipe',
    package: 'composer',
    folder: 'src/recipes',
    edits: ({ camel, pascal, kebab, upper }, read) => {
      const module = `./${kebab}.js`;
      // The tables of all recipes are in one file, which loads no tfjs.
      const options = read(`src/${kebab}-options.ts`).replace(/^import .*\n/gm, '');
      return [
        [
          'src/recipes/index.ts',
          text =>
            insertModuleStatement(
              text,
              'export',
              `export { type ${pascal}Options, ${camel} } from '${module}';`,
              module,
            ),
        ],
        [
          'src/recipes/catalog.ts',
          text =>
            insertTableEntry(
              insertModuleStatement(text, 'import', `import { ${camel} } from '${module}';`, module),
              camel,
              'CATALOG',
            ),
        ],
        [
          'src/recipes/options.ts',
          text =>
            insertTableEntry(
              insertBeforeTable(text, options, 'RECIPE_OPTIONS'),
              `${camel}: ${upper}_OPTIONS`,
              'RECIPE_OPTIONS',
            ),
        ],
      ];
    },
    cells: [[/option/i, '`density` .25, `updateGap` 200, `projectable`, `fullRank`, `convolutions` false']],
  },
};
