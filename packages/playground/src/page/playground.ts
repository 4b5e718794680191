import { labelOf } from '../catalog.js';
import type { Capabilities, FileKind, OptimizerSettings, Outline } from '../protocol.js';
import { Session, type SessionState } from '../session/session.js';
import { WorkerLink } from '../session/worker-link.js';
import { chooseBackend, describeBackend } from '../setup.js';
import { ControlBar } from './control-bar.js';
import { announce, byId } from './element.js';
import { LossChart } from './loss-chart.js';
import { MemoryBars } from './memory-bars.js';
import { fileName, layOutResults, lossCsv, lossTable, type ResultsLayout, saveFile, Tiles } from './results.js';
import { SetupForm } from './setup-form.js';
import { Writings } from './writings.js';

/** Where the setup stands above the results rather than beside them, and can be folded. */
const NARROW = matchMedia('(max-width: 900px)');

const BACKEND_TITLES = { webgpu: 'WebGPU', wasm: 'WebAssembly' } as const;
const ENDINGS: Readonly<Record<FileKind, string>> = { checkpoint: 'tar', weights: 'safetensors' };

/** A name before the outline of the setup is there. */
function nameOf(settings: OptimizerSettings): string {
  return settings.kind === 'json' ? settings.title : labelOf(settings);
}

/** The page: a setup that an adviser reads as it is typed, and one comparison at a time. */
export class Playground {
  /** Reads setups, and never trains. */
  readonly #adviser = new WorkerLink();
  readonly #form: SetupForm;
  readonly #bar: ControlBar;
  readonly #tiles = new Tiles();
  readonly #chart: LossChart;
  readonly #memory = new MemoryBars();
  readonly #writings: Writings;
  readonly #results: ResultsLayout;
  #capabilities: Capabilities | null = null;
  #session: Session | null = null;
  #labels: readonly string[];
  /** Resolves when it is known what this browser can do, or that nothing works here. */
  readonly #introduced: Promise<void>;
  /** Counts the outlines that were asked for: a late answer to an early question is not shown. */
  #asked = 0;
  #frame = 0;

  constructor() {
    this.#form = new SetupForm({
      onChange: () => this.#attempt(this.#outline()),
      onText: () => this.#attempt(this.#sendText()),
      onPrompt: prompt => {
        if (this.#session !== null) this.#session.prompt = prompt;
      },
    });
    this.#bar = new ControlBar({ onMain: () => this.#attempt(this.#main()), onReset: () => this.#startOver() });
    byId('bar').append(this.#bar.node);
    this.#chart = new LossChart(
      () => this.#labels,
      () => Math.max(2, this.#form.setup.run.steps || 0),
    );
    this.#writings = new Writings((index, kind) => void this.#download(index, kind));
    this.#results = layOutResults({
      tiles: this.#tiles,
      chart: this.#chart,
      memory: this.#memory,
      writings: this.#writings,
      onCsv: () => this.#downloadLosses(),
      lossTable: () => lossTable(this.#session?.runs ?? [], this.#session?.step ?? 0),
    });
    // Beside the results there is nothing to unfold it with.
    NARROW.addEventListener('change', ({ matches }) => byId('setup-details').toggleAttribute('open', !matches));
    this.#labels = this.#form.setup.optimizers.map(nameOf);
    this.#prepareResults();
    this.#memory.show(this.#labels.map(label => ({ label, memory: null })));
    this.#showProgress();
    this.#introduced = this.#introduce();
  }

  async #introduce(): Promise<void> {
    try {
      this.#capabilities = await this.#adviser.ask('capabilities', null);
      await this.#outline();
      document.documentElement.dataset['ready'] = 'true';
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  async #sendText(): Promise<void> {
    await this.#adviser.ask('text', this.#form.text);
    await this.#outline();
  }

  /** Has the setup read and shows what it amounts to. */
  async #outline(): Promise<Outline> {
    const asked = ++this.#asked;
    const { setup } = this.#form;
    if (this.#capabilities !== null) {
      this.#form.backendNote = describeBackend(setup.run.backend, this.#capabilities);
    }
    const outline = await this.#adviser.ask('outline', setup);
    if (asked !== this.#asked) return outline;
    this.#form.show(outline);
    // A comparison that is over stays in view while the next one is set up.
    if (this.#session === null) this.#showOutline(outline);
    this.#showProgress();
    return outline;
  }

  #showOutline({ optimizers }: Outline): void {
    const { setup } = this.#form;
    const names = setup.optimizers.map((each, i) => optimizers[i]?.label ?? nameOf(each));
    if (names.join('\n') !== this.#labels.join('\n')) {
      this.#labels = names;
      this.#prepareResults();
    }
    // While one of them has a mistake the bars show what they showed before it.
    const known = optimizers.flatMap(each => (each === null ? [] : [each]));
    if (known.length === optimizers.length) this.#memory.show(known);
  }

  #prepareResults(): void {
    this.#tiles.prepare(this.#labels);
    this.#writings.prepare(this.#labels);
    this.#chart.show(null);
  }

  async #main(): Promise<void> {
    const { state = null } = this.#session ?? {};
    if (state === 'running') this.#session!.pause();
    else if (state === 'paused') this.#session!.resume();
    else if (state !== 'starting') await this.#start();
  }

  async #start(): Promise<void> {
    await this.#introduced;
    if (this.#capabilities === null) return;
    const { setup, text } = this.#form;
    const before = this.#session;
    const outline = await this.#outline();
    // Another press may have been faster.
    if (this.#session !== before) return;
    if (outline.problems.length > 0) {
      this.#form.focusProblem();
      announce('The setup has a mistake; the field says which.');
      return;
    }
    this.#reset();
    this.#showOutline(outline);
    try {
      const backend = chooseBackend(setup.run.backend, this.#capabilities);
      this.#session = new Session({
        setup,
        outline,
        text,
        backend,
        events: {
          onState: state => this.#stateChanged(state),
          onStep: () => this.#schedule(),
          onSample: (...sample) => {
            this.#writings.show(...sample);
            if (sample[3]) this.#results.refreshTable();
          },
        },
      });
    } catch (error) {
      this.#fail((error as Error).message);
      return;
    }
    this.#chart.show(this.#session);
    this.#revealResults();
    void this.#session.run();
  }

  #reset(): void {
    this.#session?.end();
    this.#session = null;
    this.#results.failure.hidden = true;
    this.#results.csv.disabled = true;
    this.#results.table.open = false;
    this.#form.locked = false;
    this.#prepareResults();
    this.#showProgress();
  }

  #startOver(): void {
    this.#reset();
    announce('Reset.');
    this.#attempt(this.#outline());
  }

  #stateChanged(state: SessionState): void {
    const session = this.#session!;
    this.#writings.downloadable = state !== 'starting' && state !== 'failed';
    this.#results.csv.disabled = state === 'starting';
    this.#form.locked = state !== 'finished' && state !== 'failed';
    if (state === 'failed') this.#fail(session.failure!);
    const sentences: Readonly<Record<SessionState, string>> = {
      starting: 'Loading.',
      running: `Training on ${BACKEND_TITLES[session.backend]}.`,
      paused: `Paused at step ${session.step}.`,
      finished: `Done after ${session.step} steps.`,
      failed: '',
    };
    announce(sentences[state]);
    this.#results.refreshTable();
    this.#showProgress();
    this.#schedule();
  }

  /** Shows the present state with the next frame, however many steps there are until then. */
  #schedule(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#showProgress();
      if (this.#session === null) return;
      const { batchSize, sequenceLength } = this.#session.setup.run;
      this.#tiles.update(this.#session.runs, batchSize * sequenceLength);
      this.#memory.show(this.#session.runs);
      this.#chart.update();
    });
  }

  #showProgress(): void {
    const session = this.#session;
    this.#bar.show({
      state: session?.state ?? null,
      step: session?.step ?? 0,
      steps: (session?.setup ?? this.#form.setup).run.steps,
      backend: session === null ? '' : BACKEND_TITLES[session.backend],
    });
  }

  /** On a phone the results stand below the setup, out of sight: the setup makes room. Wherever one was, one sees them. */
  #revealResults(): void {
    if (NARROW.matches) byId('setup-details').removeAttribute('open');
    const { top } = byId('results').getBoundingClientRect();
    if (NARROW.matches || top < 0 || top > innerHeight / 2) byId('results').scrollIntoView({ block: 'start' });
  }

  async #download(index: number, kind: FileKind): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const { label } = session.runs[index]!;
    try {
      const { step, blob } = await session.runs[index]!.file(kind);
      saveFile(fileName(label, step, ENDINGS[kind]), blob);
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  #downloadLosses(): void {
    if (this.#session === null) return;
    const { runs, step } = this.#session;
    saveFile(`losses-step-${step}.csv`, new Blob([lossCsv(runs, step)], { type: 'text/csv' }));
  }

  /** Shows why something that nobody waits for has failed. */
  #attempt(work: Promise<unknown>): void {
    work.catch((error: Error) => this.#fail(error.message));
  }

  #fail(message: string): void {
    this.#results.failure.textContent = message;
    this.#results.failure.hidden = false;
    // Whoever started or asked for a file may be far from it.
    this.#results.failure.scrollIntoView({ block: 'nearest' });
  }
}
