import { spawnSync } from 'node:child_process';

/** A reason for which nothing can be prepared on this machine, in words for its user. */
export class CannotPrepare extends Error {}

/** Lines of a failed command that are shown. */
const SHOWN = 15;

/**
 * Runs a command to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {string} what it printed
 * @throws {CannotPrepare} with the end of its output when it fails
 */
export function run(command, args, options = {}) {
  const { error, status, stdout, stderr } = spawnSync(command, args, {
    ...options,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (error) throw new CannotPrepare(`${command} does not start: ${error.message}`);
  if (status === 0) return stdout;
  const end = `${stdout}\n${stderr}`.trim().split('\n').slice(-SHOWN).join('\n  ');
  throw new CannotPrepare(`${command} ${args.join(' ')} failed:\n  ${end}`);
}
