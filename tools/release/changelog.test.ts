import { expect, it } from 'vitest';
import { addVersion, readChange } from './changelog.mjs';

it('reads packages, the greatest bump and the summary', () => {
  const text = '---\n"@frugaljs/core": patch\n"frugaljs": minor\n---\n\nSchedules compose.\n\nMore of it.\n';
  expect(readChange(text, 'a.md')).toEqual({
    bump: 'minor',
    packages: ['@frugaljs/core', 'frugaljs'],
    summary: 'Schedules compose.\n\nMore of it.',
  });
});

it.each(['no front matter', '---\n---\n\nnobody\n', '---\n"frugaljs": patch\n---\n\n'])('refuses %j', text => {
  expect(() => readChange(text, 'a.md')).toThrow(/^a\.md: expected/);
});

it('puts the new version first, and its changes by what they mean for users', () => {
  const changelog = addVersion('# Changelog\n\nAbout it.\n\n## 0.1.0\n\nThe first.\n', '0.2.0', [
    { bump: 'patch', packages: ['@frugaljs/linalg'], summary: 'No NaN.\nNever.' },
    { bump: 'minor', packages: ['frugaljs', '@frugaljs/core'], summary: 'More.' },
  ]);
  expect(changelog).toBe(
    [
      '# Changelog\n\nAbout it.\n\n## 0.2.0\n',
      '### New\n\n- frugaljs, core: More.\n',
      '### Mended\n\n- linalg: No NaN.\n  Never.\n',
      '## 0.1.0\n\nThe first.\n',
    ].join('\n'),
  );
});

it('begins a changelog that has no version yet', () => {
  const changes = [{ bump: 'major' as const, packages: ['frugaljs'], summary: 'All.' }];
  expect(addVersion('# Changelog\n', '1.0.0', changes)).toContain('# Changelog\n\n## 1.0.0\n\n### Breaking\n');
});
