/**
 * Runs the tests of this folder here, where they pass, and in a worktree of an earlier commit, where each must fail: a test
 * that passes there shows nothing.
 *
 *     npm run faults -- [--against COMMIT] [--in FOLDER] [--only PART_OF_A_FILE_NAME]
 *
 * `--in` names an existing checkout of that commit with its dependencies installed; without it one is made and removed.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(import.meta.dirname, '../..');
const HERE = path.relative(ROOT, import.meta.dirname);

const { values } = parseArgs({
  options: {
    against: { type: 'string', default: '8ff5ada' },
    in: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});

const temporary = mkdtempSync(path.join(tmpdir(), 'frugal-faults-'));
try {
  const checkout = values.in === undefined ? checkOut(values.against) : path.resolve(values.in);
  cpSync(import.meta.dirname, path.join(checkout, HERE), { recursive: true });
  process.exitCode = compare(outcomes(ROOT), outcomes(checkout));
} finally {
  if (values.in === undefined) run('git', ['worktree', 'remove', '--force', path.join(temporary, 'checkout')], ROOT);
  rmSync(temporary, { recursive: true, force: true });
}

/** The folder of a worktree of a commit, with what it depends on. */
function checkOut(commit: string): string {
  const folder = path.join(temporary, 'checkout');
  must('git', ['worktree', 'add', '--detach', folder, commit], ROOT);
  must('npm', ['ci', '--no-audit', '--no-fund'], folder);
  return folder;
}

/** What is read of the report that vitest writes. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

interface Outcome {
  readonly status: string;
  /** The failure, as the test runner reports it. */
  readonly why: string;
}

/** What became of each test, by file and name. */
function outcomes(root: string): ReadonlyMap<string, Outcome> {
  const files = readdirSync(import.meta.dirname)
    .filter(name => name.endsWith('.test.ts') && name.includes(values.only))
    .map(name => path.posix.join(HERE.split(path.sep).join('/'), name));
  if (files.length === 0) throw new Error(`--only: expected a part of a file name of ${HERE}, found "${values.only}"`);
  const report = path.join(temporary, `${root === ROOT ? 'here' : 'there'}.json`);
  const { stderr } = run('npx', ['vitest', 'run', ...files, '--reporter=json', `--outputFile=${report}`], root);
  if (!existsSync(report)) throw new Error(`vitest wrote no report in ${root}: ${stderr}`);
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as Report;
  const found = new Map<string, Outcome>();
  for (const { name: file, assertionResults, message } of testResults) {
    if (assertionResults.length === 0) throw new Error(`${file} could not be loaded: ${message}`);
    for (const { fullName, status, failureMessages } of assertionResults) {
      found.set(`${path.basename(file, '.test.ts')}: ${fullName}`, { status, why: failureMessages[0] ?? '' });
    }
  }
  return found;
}

/** Prints both outcomes of each test; the exit code. */
function compare(here: ReadonlyMap<string, Outcome>, there: ReadonlyMap<string, Outcome>): number {
  let wrong = 0;
  for (const [name, { status }] of here) {
    const before = there.get(name);
    const isRight = status === 'passed' && before?.status === 'failed';
    if (!isRight && status !== 'skipped') wrong += 1;
    console.log(`${isRight ? '    ' : '  ! '}${name}`);
    console.log(`        here ${status}, there ${before?.status ?? 'missing'}: ${firstLine(before?.why)}`);
  }
  console.log(`${here.size} tests, ${here.size - wrong} of them pass here and fail at ${values.against}`);
  return wrong === 0 ? 0 : 1;
}

function firstLine(text = ''): string {
  const line = text.split('\n', 1)[0]!;
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

function must(command: string, args: readonly string[], cwd: string): void {
  const { status, stderr } = run(command, args, cwd);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

function run(command: string, args: readonly string[], cwd: string): SpawnSyncReturns<string> {
  return spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 28 });
}
