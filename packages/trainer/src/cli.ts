#!/usr/bin/env node
import { EXIT } from './cli/exit.js';
import { runCommand } from './cli/program.js';
import { LastingStream } from './terminal/output.js';

const stdout = new LastingStream(process.stdout);
const stderr = new LastingStream(process.stderr);

// Some failures are known only after the last write.
process.on('exit', () => {
  if (stdout.failure === null) return;
  stderr.write(`frugal: standard output: the result could not be written (${stdout.failure.message})\n`);
  process.exitCode ||= EXIT.failure;
});

process.exitCode = await runCommand(process.argv.slice(2), { stdout, stderr });
