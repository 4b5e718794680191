// Compiles and runs examples as a user's program in this workspace would: packages come by name, from source.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';

const timeout = 120_000;

/** @typedef {import('./extract.mjs').Example & { file: string }} Program an example and where it was written */

/**
 * Type-checks all examples, then runs those that are to be run, a few at a time.
 *
 * @param {string} root absolute folder of the workspace
 * @param {readonly import('./extract.mjs').Example[]} examples
 * @param {number} [parallel]
 * @returns {Promise<string[]>} failures, each starting with PAGE:LINE
 */
export async function runExamples(root, examples, parallel = Math.min(2, availableParallelism())) {
  mkdirSync(join(root, '.cache'), { recursive: true });
  // Inside the workspace, or the names of its packages would not resolve.
  const folder = mkdtempSync(join(root, '.cache/examples-'));
  try {
    const programs = examples.map(example => {
      const file = join(folder, `${example.page.replaceAll('/', '--')}.${example.line}.ts`);
      writeFileSync(file, example.code);
      return { ...example, file };
    });
    const failures = await typeCheck(root, folder, programs);
    const queue = programs.filter(({ noRun, page, line }) => noRun === null && !failures.has(`${page}:${line}`));
    const worker = async () => {
      for (let program = queue.shift(); program; program = queue.shift()) {
        const failure = await runProgram(root, folder, program);
        if (failure) failures.set(`${program.page}:${program.line}`, failure);
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    return programs.flatMap(({ page, line }) => failures.get(`${page}:${line}`) ?? []);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} root
 * @param {string} folder
 * @param {readonly Program[]} programs
 * @returns {Promise<Map<string, string>>} by PAGE:LINE of the example
 */
async function typeCheck(root, folder, programs) {
  const config = join(folder, 'tsconfig.json');
  const compilerOptions = { moduleDetection: 'force', skipLibCheck: true };
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(root, 'tsconfig.tests.json'),
      compilerOptions,
      include: [],
      files: programs.map(({ file }) => file),
    }),
  );
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const { output } = await execute([compiler, '-p', config, '--pretty', 'false'], root);
  /** @type {Map<string, string>} */
  const failures = new Map();
  for (const program of programs) {
    // Errors in the packages' own files are for `npm run typecheck` to report.
    const name = relative(root, program.file).replaceAll('\\', '/');
    const errors = output.split(/\n(?! )/).filter(message => message.startsWith(`${name}(`));
    if (errors.length > 0) failures.set(`${program.page}:${program.line}`, inPage(errors.join('\n'), root, program));
  }
  return failures;
}

/**
 * @param {string} root
 * @param {string} folder
 * @param {Program} program
 * @returns {Promise<string | null>}
 */
async function runProgram(root, folder, program) {
  const cwd = mkdtempSync(join(folder, 'run-')); // an example may write files
  const { status, output } = await execute(['--conditions=@frugaljs/source', '--import', 'tsx', program.file], cwd);
  if (status === 0) return null;
  const reason = status === null ? `was stopped after ${timeout / 1000} s` : `exited with ${status}`;
  return `${program.page}:${program.line}: ${reason}\n${inPage(output, root, program)}`;
}

/**
 * @param {readonly string[]} args of node
 * @param {string} cwd
 * @returns {Promise<{ status: number | null, output: string }>} status null: the time ran out
 */
function execute(args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', text => {
        output += text;
      });
    }
    child.on('error', reject).on('close', status => resolve({ status, output: output.trim() }));
  });
}

// Names the page instead of the temporary file; the lines already agree.
/**
 * @param {string} message
 * @param {string} root
 * @param {Program} program
 */
function inPage(message, root, { file, page }) {
  return message
    .replaceAll(`file://${file}`, page)
    .replaceAll(file, page)
    .replaceAll(relative(root, file), page)
    .replace(/^(\S+\.md)\((\d+),(\d+)\)/gm, '$1:$2:$3');
}
