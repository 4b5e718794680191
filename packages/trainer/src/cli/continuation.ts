import { shellWord } from '../terminal/shell-word.js';

/**
 * The command that goes on with a run, to be pasted into a shell where this one was started.
 *
 * @param path The checkpoint or the folder of checkpoints.
 * @param flags More options, with their values.
 */
export function continuation(path: string, flags: Readonly<Record<string, string | undefined>> = {}): string {
  const more = Object.entries(flags).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
  return [...commandName(), 'train', '--resume', path, ...more].map(shellWord).join(' ');
}

/** How the command was started, as npm tells. */
function commandName(): string[] {
  const { npm_command: command, npm_lifecycle_event: script } = process.env;
  if (script === 'frugal') return ['npm', 'run', 'frugal', '--'];
  return command === 'exec' ? ['npx', 'frugal'] : ['frugal'];
}
