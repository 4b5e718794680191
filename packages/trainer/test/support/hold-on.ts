// Work that never looks at the abort signal: only a second interrupt ends it.
import { watchInterrupts } from '../../src/cli/exit.js';

watchInterrupts(line => process.stderr.write(`${line}\n`));
process.stderr.write('ready\n');
setTimeout(() => process.exit(7), 30_000);
