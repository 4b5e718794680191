import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { extractExamples } from './extract.mjs';
import { runExamples } from './run.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fence = '```';
const page = (...blocks: [string, string][]) =>
  `# Page\n\n${blocks.map(([info, code]) => `${fence}${info}\n${code}\n${fence}\n`).join('\ntext\n\n')}`;

describe('extractExamples', () => {
  it('keeps each line at its number in the page', () => {
    const text = page(['sh', 'npm install'], ['ts', 'const a = 1;'], ['ts continue', 'console.log(a);']);
    const [example] = extractExamples(text, 'p.md');
    const lines = text.split('\n');
    for (const [index, line] of (example?.code ?? '').split('\n').entries()) {
      if (line !== '') expect(line).toBe(lines[index]);
    }
    expect(example?.code).toContain('console.log(a);');
    expect(example?.noRun).toBeNull();
  });

  it('reads why an example is not run, and passes over other languages and longer fences', () => {
    const text = `${page(['ts no-run needs a page', 'x;'], ['json', '{}'])}\n${fence}${fence}md\n${page(['ts', 'y;'])}${fence}${fence}\n`;
    expect(extractExamples(text, 'p.md')).toMatchObject([{ line: 3, noRun: 'needs a page' }]);
  });

  it.each([
    ['ts no-run', 'p.md:3: '],
    ['ts norun', "'ts norun' is unknown"],
    ['ts continue', 'no program before it'],
  ])('refuses %s', (info, message) => {
    expect(() => extractExamples(page([info, 'x;']), 'p.md')).toThrow(message);
  });

  it('refuses a block that is never closed', () => {
    expect(() => extractExamples(`a\n${fence}ts\nx;\n`, 'p.md')).toThrow('p.md:2: ');
  });
});

describe('runExamples', () => {
  it('compiles all, runs what is to be run, and names page and line of what fails', async () => {
    const text = page(
      [
        'ts',
        "import { scalar } from '@tensorflow/tfjs-core';\nimport '@tensorflow/tfjs-backend-cpu';\nscalar(1).print();",
      ],
      ['ts', 'const wrong: string = 5;'],
      ['ts', "console.log('before');\n\nthrow new Error('on purpose');"],
      ['ts no-run needs a page', "document.title = 'x';\nthrow new Error('never seen');"],
    );
    const failures = await runExamples(root, extractExamples(text, 'docs/p.md'));
    expect(failures).toHaveLength(2);
    expect(failures[0]).toMatch(/^docs\/p\.md:12:7: error TS2322/);
    expect(failures[1]).toMatch(/^docs\/p\.md:17: exited with 1\n/);
    expect(failures[1]).toMatch(/docs\/p\.md:20/);
    expect(failures[1]).toContain('on purpose');
  });
});
