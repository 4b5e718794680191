// What every example can be told: node main.js --steps 50 --seed 2
import { parseArgs } from 'node:util';

/**
 * @param {number} steps of a run as the README shows it
 * @returns {{ steps: number, seed: number }} as the command line has it; a wrong one ends the program with a message
 */
export function readSettings(steps) {
  const usage = `node main.js [--steps N] [--seed N] [--quick]
--steps  how long each optimizer trains; ${steps} by default
--seed   of weights, data and random subspaces; 1 by default
--quick  a tenth of the steps, to see that it runs`;
  try {
    const { values } = parseArgs({
      options: {
        steps: { type: 'string' },
        seed: { type: 'string', default: '1' },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const wanted = values.steps ?? String(values.quick ? Math.ceil(steps / 10) : steps);
    return { steps: wholeNumber('--steps', wanted, 2), seed: wholeNumber('--seed', values.seed, 0) };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`);
    process.exit(2);
  }
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} least
 */
function wholeNumber(option, text, least) {
  if (/^\d+$/.test(text) && Number(text) >= least && Number(text) <= 1e6) return Number(text);
  throw new Error(`${option} is '${text}'; give a whole number from ${least} to 1000000`);
}
