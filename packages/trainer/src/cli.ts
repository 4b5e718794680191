#!/usr/bin/env node
import { isatty } from 'node:tty';
import { EXIT } from './cli/exit.js';
import { runCommand } from './cli/program.js';
import { LastingStream } from './terminal/output.js';

// Asked before the work: one that was closed since is not a terminal any more.
const hasTerminal = [0, 1, 2].some(isatty);
const stdout = new LastingStream(process.stdout);
const stderr = new LastingStream(process.stderr);

// Some failures are known only after the last write.
process.on('exit', () => {
  if (stdout.failure === null) return;
  stderr.write(`frugal: standard output: the result could not be written (${stdout.failure.message})\n`);
  process.exitCode ||= EXIT.failure;
});

const code = await runCommand(process.argv.slice(2), { stdout, stderr });
// On its way out Node restores the settings of its terminal, and aborts if that is gone. The signal, which nobody catches
// by now, means the same exit code to a shell.
if (code === EXIT.hungUp && hasTerminal) process.kill(process.pid, 'SIGHUP');
process.exitCode = code;
