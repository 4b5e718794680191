// What every example ends with: the same thing trained by several optimizers from the same seed, and a table that says what
// came of it. Nothing here imports TensorFlow.js, so that an example has the one copy that its own folder installs.

/**
 * @typedef {object} Step what a training yields
 * @property {number} loss
 * @property {readonly import('frugaljs').tf.Optimizer[]} optimizers those in use, mostly one
 * @property {number} [besides] bytes that the training keeps for them itself
 *
 * @typedef {Record<string, string>} Measures more columns of the table, known when a training ends
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {number} first loss of the first step
 * @property {number} last mean loss of the last tenth
 * @property {Measures} measures
 * @property {number} time as a multiple of the first optimizer's, from the median step
 * @property {number} state bytes: the most that was kept between two steps
 */

/**
 * Trains with each optimizer. They take turns step by step, so that whatever else the machine does slows all alike.
 *
 * @template T
 * @param {Record<string, T>} contenders by name; the first is what the others are compared with
 * @param {(contender: T) => AsyncGenerator<Step, Measures>} train makes a model and trains it
 * @param {(name: string, step: number, loss: number) => unknown} [onStep] awaited, and not timed
 * @returns {Promise<Row[]>}
 */
export async function compare(contenders, train, onStep = () => {}) {
  const runs = Object.entries(contenders).map(([name, contender]) => ({
    name,
    training: train(contender),
    losses: /** @type {number[]} */ ([]),
    times: /** @type {number[]} */ ([]),
    state: 0,
    measures: /** @type {Measures | null} */ (null),
  }));
  while (runs.some(({ measures }) => measures === null)) {
    for (const run of runs) {
      const start = performance.now();
      const { done, value } = await run.training.next();
      if (done) {
        run.measures = value;
        continue;
      }
      run.times.push(performance.now() - start);
      run.losses.push(value.loss);
      const bytes = await Promise.all(value.optimizers.map(stateBytes));
      run.state = Math.max(run.state, sum(bytes) + (value.besides ?? 0));
      await onStep(run.name, run.losses.length, value.loss);
    }
  }
  const reference = median(runs[0]?.times ?? []);
  return runs.map(({ name, losses, times, state, measures }) => {
    const tail = losses.slice(-Math.ceil(losses.length / 10));
    return {
      name,
      first: losses[0] ?? Number.NaN,
      last: sum(tail) / tail.length,
      measures: measures ?? {},
      time: median(times) / reference,
      state,
    };
  });
}

/**
 * What an optimizer keeps between two steps. Those of frugal.js tell it; those of TensorFlow.js hand it out, behind the count
 * of iterations.
 *
 * @param {import('frugaljs').tf.Optimizer} optimizer
 * @returns {Promise<number>} bytes
 */
export async function stateBytes(optimizer) {
  if ('explain' in optimizer) {
    const composed = /** @type {import('frugaljs').ComposedOptimizer} */ (optimizer);
    return sum(composed.explain().map(row => row.stateBytes));
  }
  const [iterations, ...moments] = await optimizer.getWeights();
  iterations?.tensor.dispose();
  return 4 * sum(moments.map(({ tensor }) => tensor.size));
}

/**
 * @param {readonly Row[]} rows
 * @returns {string[][]} head and rows of the table, for a terminal or a page
 */
export function tableCells(rows) {
  const reference = rows[0]?.state ?? Number.NaN;
  return [
    ['optimizer', 'first loss', 'last', ...Object.keys(rows[0]?.measures ?? {}), 'time', 'state', 'share'],
    ...rows.map(({ name, first, last, measures, time, state }) => [
      name,
      first.toFixed(4),
      last.toFixed(4),
      ...Object.values(measures),
      `${time.toFixed(2)}×`,
      `${(state / 1024).toFixed(1)} KiB`,
      `${Math.round((100 * state) / reference)} %`,
    ]),
  ];
}

/**
 * @param {string} title
 * @param {readonly Row[]} rows
 */
export function printTable(title, rows) {
  const cells = tableCells(rows);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => (row[column] ?? '').length)));
  console.log(`${title}\n`);
  for (const row of cells) {
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    );
  }
}

/** @param {readonly number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** @param {readonly number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
