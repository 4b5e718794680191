import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { corpusSources, openCorpus } from '@frugaljs/llama/node';
import { afterAll, beforeAll, expect, it } from 'vitest';

const folder = mkdtempSync(path.join(tmpdir(), 'frugal-downloads-'));
const story = 'A line of a story.\n'.repeat(50);
const server = createServer((request, response) => {
  if (request.url === '/moved') response.writeHead(302, { location: '/story' }).end();
  else response.end(story);
});

beforeAll(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

it('a redirect of a download is told of, and not followed', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/moved`;
  const sha256 = createHash('sha256').update(story).digest('hex');
  const sources = { story: [{ train: { path: 'story.txt', url, bytes: story.length, sha256 } }] };
  const env = { FRUGAL_DATA: path.join(folder, 'none'), FRUGAL_CACHE: path.join(folder, 'cache') };
  const lines: string[] = [];
  await openCorpus('story', { sources, env, cwd: folder, log: line => lines.push(line) });
  expect(lines).toEqual([expect.stringContaining('redirect')]);
});

it('every named corpus is checked by more than its length', () => {
  const files = Object.values(corpusSources)
    .flat()
    .flatMap(({ train, validation }) => (validation === undefined ? [train] : [train, validation]))
    .filter(({ url }) => url !== undefined);
  expect(files.length).toBeGreaterThan(3);
  for (const file of files)
    expect(Object.keys(file)).toEqual(expect.arrayContaining([expect.stringMatching(/^(sha256|counts)$/)]));
});
