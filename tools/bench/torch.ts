import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type ClockName, UsageError } from './backends.js';
import type { Run } from './runs.js';

const SCRIPT = fileURLToPath(new URL('torch_step.py', import.meta.url));

/** What the script says when it is ready. */
interface Greeting {
  readonly torch: string;
  readonly methods: readonly { readonly name: string; readonly params: number; readonly bytes: number | null }[];
}

/**
 * PyTorch in a process of its own, which rests while it is not asked. A request is the name of a method on one line, the
 * answer the milliseconds of one step.
 */
export class TorchProcess {
  private constructor(
    private readonly child: ChildProcessWithoutNullStreams,
    private readonly lines: AsyncIterator<string>,
    private readonly reader: Interface,
    private readonly greeting: Greeting,
  ) {}

  /** @throws UsageError when this Python has no torch. */
  static async start(python: string, matrices: number, size: number, clock: ClockName): Promise<TorchProcess> {
    const args = [SCRIPT, '--matrices', String(matrices), '--size', String(size), '--clock', clock];
    const child = spawn(python, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    const failed = once(child, 'error').then(([error]) => {
      throw new UsageError(`--torch: ${(error as Error).message}`);
    });
    const reader = createInterface({ input: child.stdout });
    const lines = reader[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), failed]);
    if (first.done) throw new UsageError(`--torch: ${python} cannot run the script:\n${errors.trim()}`);
    return new TorchProcess(child, lines, reader, JSON.parse(first.value) as Greeting);
  }

  get version(): string {
    return this.greeting.torch;
  }

  runs(): Run[] {
    return this.greeting.methods.map(({ name, params, bytes }) => ({
      backend: 'torch',
      method: name,
      params,
      time: () => this.time(name),
      bytes: () => bytes,
      kernels: () => `torch ${this.version}, one thread`,
      peakBytes: () => null,
      dispose: () => {},
    }));
  }

  async close(): Promise<void> {
    this.child.stdin.end();
    await once(this.child, 'close');
    this.reader.close();
  }

  private async time(method: string): Promise<number> {
    this.child.stdin.write(`${method}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`The torch process ended during ${method}.`);
    return Number(value);
  }
}
