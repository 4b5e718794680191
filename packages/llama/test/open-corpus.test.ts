import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ArgumentError, DataError, FormatError, gunzip, IntegrityError } from '../src/index.js';
import { checkIntegrity } from '../src/node/corpus-sources.js';
import {
  type CorpusOptions,
  type CorpusSource,
  cacheFolder,
  corpusSources,
  dataFolders,
  installedText,
  openCorpus,
  readContent,
} from '../src/node/index.js';
import { dataFile } from './data-folder.js';

const STORY = Array.from({ length: 50 }, (_, i) => `This is line ${i} of a story.\n`).join('');
/** Bytes of the largest file: V8's longest string. */
const LARGEST = 2 ** 29 - 24;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let root: string;
let server: Server;
let address: string;
let requests: string[];
let lines: string[];

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(request.url!);
    if (request.url === '/missing.txt') response.writeHead(404).end();
    else if (request.url === '/moved.txt') response.writeHead(302, { location: '/story.txt' }).end();
    else if (request.url === '/story.txt.gz') response.end(gzipSync(STORY));
    else response.end(STORY);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'frugal-corpus-'));
  requests = [];
  lines = [];
  return () => rm(root, { recursive: true });
});

async function put(path: string, content: string | Uint8Array): Promise<string> {
  const file = join(root, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

/** Nothing but the temporary folder is looked at. */
function options(change: CorpusOptions = {}): CorpusOptions {
  const env = { FRUGAL_DATA: join(root, 'data'), FRUGAL_CACHE: join(root, 'cache') };
  return { cwd: root, env, log: line => lines.push(line), ...change };
}

function served(path: string, change: object = {}): { story: CorpusSource } {
  const file = { path: 'story/text.txt', url: `${address}${path}`, bytes: STORY.length, sha256: sha256(STORY) };
  return { story: [{ train: { ...file, ...change } }] };
}

/** An address where a server has been and is no more. */
async function closedAddress(): Promise<string> {
  const closed = createServer();
  await new Promise<void>(resolve => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise(resolve => closed.close(resolve));
  return `http://127.0.0.1:${port}/story.txt`;
}

describe('a file', () => {
  it.each([
    ['text.txt', STORY],
    ['text.txt.gz', gzipSync(STORY)],
  ])('%s is read and split', async (path, content) => {
    const file = await put(path, content);
    const corpus = await openCorpus(path, options({ validationFraction: 0.2 }));
    expect(corpus).toMatchObject({ name: path, origin: file });
    expect(corpus.train.join('') + corpus.validation.join('')).toBe(STORY);
    expect(corpus.validation.join('').length / STORY.length).toBeCloseTo(0.2, 1);
  });

  it('of JSON lines gives documents', async () => {
    await put('rows.jsonl', '{"text":"first document"}\n{"text":"second"}\n');
    const corpus = await openCorpus('rows.jsonl', options());
    expect(corpus).toMatchObject({ train: ['first document'], validation: ['second'] });
  });

  it('that does not exist is refused, with the known names', async () => {
    const opened = openCorpus('nowhere.txt', options());
    await expect(opened).rejects.toThrow(DataError);
    await expect(opened).rejects.toThrow(/shakespeare, wikitext2, c4, tinystories, found "nowhere.txt"/);
  });

  it('is read in the encodings that editors save', async () => {
    const utf16le = Buffer.from(`\uFEFF${STORY}é☕`, 'utf16le');
    const expected = await openCorpus(await put('utf8.txt', `${STORY}é☕`), options());
    for (const [name, bytes] of [
      ['bom.txt', Buffer.from(`\uFEFF${STORY}é☕`)],
      ['utf16le.txt', utf16le],
      ['utf16be.txt', Buffer.from(utf16le).swap16()],
    ] as const) {
      const corpus = await openCorpus(await put(name, bytes), options());
      expect([corpus.train, corpus.validation]).toEqual([expected.train, expected.validation]);
    }
    expect(lines).toEqual([]);
  });

  it('with a few bytes that are no UTF-8 is read, and says so', async () => {
    const path = await put('latin1.txt', Buffer.from(`${STORY}na\u00efve caf\u00e9`, 'latin1'));
    const { train, validation } = await openCorpus(path, options());
    expect([...train, ...validation].join('')).toContain('na\uFFFDve');
    expect(lines).toEqual([expect.stringMatching(/latin1\.txt: 2 of \d+ characters are no UTF-8/)]);
  });

  it('that may say U+FFFD itself is read without a word', async () => {
    await openCorpus(await put('replacement.txt', `${STORY}\uFFFD`), options());
    expect(lines).toEqual([]);
  });

  it.each([
    ['random bytes', Buffer.from(Array.from({ length: 5000 }, (_, i) => 1 + ((i * 7919) % 255))), /another encoding/],
    ['UTF-16 without a mark', Buffer.from(STORY, 'utf16le'), /NUL characters/],
    ['Cyrillic in one byte', Buffer.from(Array.from({ length: 500 }, (_, i) => 0xe0 + (i % 32))), /Save it as UTF-8/],
    ['zeros', Buffer.alloc(1000), /NUL characters/],
  ])('of %s is refused', async (_, bytes, message) => {
    const opened = openCorpus(await put('binary.txt', bytes), options());
    await expect(opened).rejects.toThrow(FormatError);
    await expect(opened).rejects.toThrow(message);
  });

  it('that is broken is refused', async () => {
    await put('broken.jsonl', '{"text":1}');
    await expect(openCorpus('broken.jsonl', options())).rejects.toThrow(/broken.jsonl, line 1/);
    await put('cut.txt.gz', gzipSync(STORY).subarray(0, 40));
    await expect(openCorpus('cut.txt.gz', options())).rejects.toThrow(FormatError);
    await put('text.txt', STORY);
    await expect(openCorpus('text.txt', options({ validationFraction: 1 }))).rejects.toThrow(ArgumentError);
  });

  it('that is no regular file is refused: a device may have no end', async context => {
    if (process.platform === 'win32') {
      console.log('Skipped: no mkfifo on Windows');
      return context.skip();
    }
    const pipe = join(root, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const [path, kind] of [
      ['/dev/zero', 'a device'],
      [pipe, 'a pipe'],
      [root, 'a folder'],
    ] as const) {
      const read = readContent(path);
      await expect(read).rejects.toThrow(DataError);
      await expect(read).rejects.toThrow(`${path}: expected a file that can be read, found "${kind}".`);
    }
  });

  it('that is larger than a string can be is refused before it is read', async () => {
    const file = await put('large.txt', '');
    await truncate(file, LARGEST + 1);
    const opened = openCorpus(file, options());
    await expect(opened).rejects.toThrow(DataError);
    await expect(opened).rejects.toThrow(`${file}: expected a file of at most ${LARGEST} bytes`);
  });

  it('is decompressed up to the bound that is given', async () => {
    const packed = gzipSync(STORY);
    expect(new TextDecoder().decode(await gunzip(packed, 'story', STORY.length))).toBe(STORY);
    const zeros = gzipSync(Buffer.alloc(2 ** 24));
    for (const [bytes, largest] of [
      [packed, STORY.length - 1],
      [zeros, 2 ** 20],
    ] as const) {
      const refused = gunzip(bytes, 'a.txt.gz', largest);
      await expect(refused).rejects.toThrow(FormatError);
      await expect(refused).rejects.toThrow(`a.txt.gz: expected at most ${largest} bytes when decompressed, found `);
    }
  });
});

describe('a name', () => {
  it('is looked up in $FRUGAL_DATA first, compressed or not', async () => {
    const file = await put('data/tinyshakespeare/input.txt.gz', gzipSync(STORY));
    const corpus = await openCorpus('shakespeare', options());
    expect(corpus).toMatchObject({ name: 'shakespeare', origin: file });
    expect(lines).toEqual([]);
  });

  it('uses the validation text that comes with the corpus', async () => {
    await put('data/c4/train.jsonl', '{"text":"train"}');
    await put('data/c4/validation.jsonl', '{"text":"held out"}');
    expect(await openCorpus('c4', options())).toMatchObject({ train: ['train'], validation: ['held out'] });
  });

  it('is looked up in ../shared/data of the project when FRUGAL_DATA is not set', async () => {
    await put('project/package.json', '{}');
    await mkdir(join(root, 'project/deep/er'), { recursive: true });
    await put('shared/data/tinyshakespeare/input.txt', STORY);
    const env = { FRUGAL_CACHE: join(root, 'cache') };
    const cwd = join(root, 'project/deep/er');
    expect((await openCorpus('shakespeare', options({ cwd, env }))).train.join('')).toContain('line 3 ');
    expect(dataFolders({ cwd, env })).toEqual([join(root, 'shared/data')]);
    expect(dataFolders({ cwd, env: { ...env, FRUGAL_DATA: root } })).toEqual([root]);
  });

  it('is downloaded once, checked and kept', async () => {
    const sources = served('/story.txt.gz');
    const first = await openCorpus('story', options({ sources }));
    const second = await openCorpus('story', options({ sources }));
    expect(first.train).toEqual(second.train);
    expect(first.train.join('') + first.validation.join('')).toBe(STORY);
    expect(requests).toEqual(['/story.txt.gz']);
    expect(second.origin).toBe(join(root, 'cache/story/text.txt'));
    expect(await readdir(join(root, 'cache/story'))).toEqual(['text.txt']);
    expect(lines).toEqual([]);
  });

  it.each([
    ['another length', { bytes: 7 }, /expected 7 bytes, found "\d+ bytes"/],
    ['another content', { sha256: sha256('other') }, /expected SHA-256 \w{64}, found "SHA-256 \w{64}"/],
    [
      'other words',
      { sha256: undefined, counts: { tokens: 400, vocabulary: 58 } },
      /expected 400 tokens of 58 words, found "400 tokens of 57 words"/,
    ],
  ])('whose download has %s is refused and not kept', async (_, change, message) => {
    const opened = openCorpus('story', options({ sources: served('/story.txt', change) }));
    await expect(opened).rejects.toThrow(IntegrityError);
    await expect(opened).rejects.toThrow(message);
    expect(existsSync(join(root, 'cache/story/text.txt'))).toBe(false);
  });

  it('that cannot be kept is replaced by installed text, in a line that says what to do', async () => {
    const env = { FRUGAL_DATA: join(root, 'data'), FRUGAL_CACHE: join(await put('file', ''), 'cache') };
    const corpus = await openCorpus('story', options({ sources: served('/story.txt'), env }));
    expect(corpus.name).toBe('installed-text');
    expect(lines).toEqual([expect.stringMatching(/expected a folder to keep downloads in.* in FRUGAL_CACHE\./)]);
  });

  it('whose kept file was damaged is refused', async () => {
    await put('cache/story/text.txt', `${STORY} `);
    const opened = openCorpus('story', options({ sources: served('/story.txt') }));
    await expect(opened).rejects.toThrow(IntegrityError);
    await expect(opened).rejects.toThrow(/delete it/);
  });

  it.each([
    ['the server does not have it', '/missing.txt', {}, /HTTP status 404/],
    ['the server leads elsewhere', '/moved.txt', {}, /a redirect to \/story\.txt, which is not followed/],
    ['downloads are off', '/story.txt', { download: false }, /leave to download/],
    ['nobody answers', 'closed', {}, /ECONNREFUSED/],
  ])('is replaced by installed text, in one line, when %s', async (_, path, change, reason) => {
    const url = path === 'closed' ? await closedAddress() : `${address}${path}`;
    const corpus = await openCorpus('story', options({ sources: served('', { url }), ...change }));
    expect(corpus.name).toBe('installed-text');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(reason);
    expect(lines[0]).toContain(corpus.origin);
    expect(lines[0]).not.toContain('\n');
  });
});

describe('installed text', () => {
  it('is at least a million characters, the same every time, with some held out', () => {
    const corpus = installedText(process.cwd());
    const size = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0);
    expect(size(corpus.train) + size(corpus.validation)).toBeGreaterThan(1e6);
    expect(corpus.validation.length).toBe(Math.floor((corpus.train.length + corpus.validation.length) / 10));
    expect(corpus.train.filter(text => corpus.validation.includes(text))).toEqual([]);
    expect(installedText(process.cwd())).toEqual(corpus);
  });

  it('is found from a folder outside the project, through this package', () => {
    expect(installedText(root).train.length).toBeGreaterThan(10);
  });
});

describe('the table of corpora', () => {
  it('has for each name an edition that can be downloaded and checked', () => {
    expect(Object.keys(corpusSources)).toEqual(['shakespeare', 'wikitext2', 'c4', 'tinystories']);
    for (const source of Object.values(corpusSources)) {
      const edition = source.find(({ train }) => train.url !== undefined)!;
      for (const file of [edition.train, edition.validation]) {
        if (file === undefined) continue;
        expect(file.url).toMatch(/^https:\/\/raw\.githubusercontent\.com\/[^/]+\/[^/]+\/[0-9a-f]{40}\/.+/);
        expect(file.bytes).toBeGreaterThan(1e6);
        if (file.counts === undefined) expect(file.sha256).toMatch(/^[0-9a-f]{64}$/);
      }
    }
  });

  for (const [name, path] of [
    ['shakespeare', 'tinyshakespeare/input.txt.gz'],
    ['tinystories', 'tinystories/v2-1727.txt.gz'],
    ['wikitext2', 'wikitext-2/train.txt.gz'],
    ['wikitext2', 'wikitext-2/valid.txt.gz'],
  ] as const) {
    const file = dataFile(path);
    it.skipIf(file === null)(`${name}: what is published of it holds for ${path}`, async () => {
      const files = corpusSources[name]!.flatMap(({ train, validation }) => [train, validation]);
      const entry = files.find(candidate => candidate !== undefined && path.startsWith(candidate.path))!;
      expect(entry.sha256 ?? entry.counts).toBeDefined();
      checkIntegrity(await readContent(file!), entry, path);
    });
  }

  it('keeps downloads in $FRUGAL_CACHE, else in the cache folder of the user', () => {
    expect(cacheFolder({ cwd: '/w', env: { FRUGAL_CACHE: 'c' } })).toBe(join('/w', 'c'));
    expect(cacheFolder({ env: { XDG_CACHE_HOME: '/x' } })).toBe(join('/x', 'frugaljs'));
    expect(cacheFolder({ env: {} })).toMatch(/\.cache.frugaljs$/);
  });
});
