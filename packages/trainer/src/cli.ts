#!/usr/bin/env node
import { runCommand } from './cli/program.js';

// A reader that has seen enough (`frugal list | head`) closes the pipe; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCommand(process.argv.slice(2));
