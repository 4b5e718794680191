import { Eager } from './eager.js';
import type { NodeBackend, Output } from './node-backend.js';
import { Ownership } from './ownership.js';
import { Sign } from './sign.js';
import { Variables } from './variables.js';

/** What kernels need of one TensorFlow: its operations, variables to update in place, and how it treats NaN. */
export class TensorFlow {
  readonly eager: Eager;
  readonly variables: Variables;
  readonly ownership: Ownership;
  readonly sign: Sign;
  /** Whether signs, Maximum and Minimum give NaN for NaN; some builds give 0 or the other operand. */
  readonly keepsNaN: Readonly<Record<'Sign' | 'Maximum' | 'Minimum', boolean>>;
  /** The same of the largest and the smallest entry. */
  readonly reducesNaN: Readonly<Record<'Max' | 'Min', boolean>>;

  constructor(backend: NodeBackend) {
    this.eager = new Eager(backend);
    this.variables = new Variables(this.eager);
    this.ownership = new Ownership(this.eager);
    this.sign = new Sign(this.eager);
    this.keepsNaN = { Sign: this.signs(), Maximum: this.extremum('Maximum'), Minimum: this.extremum('Minimum') };
    this.reducesNaN = { Max: this.reduction('Max'), Min: this.reduction('Min') };
  }

  private probe(output: Output): boolean {
    const { binding } = this.eager.backend;
    const values = Array.from(binding.tensorDataSync(output.id));
    this.eager.delete(output.id);
    return values.length > 0 && values.every(Number.isNaN);
  }

  /** As many entries as vector instructions take at once, and some more. */
  private nan(fill: number, at: (i: number) => boolean): number {
    const { binding } = this.eager.backend;
    const values = Float32Array.from({ length: 37 }, (_, i) => (at(i) ? Number.NaN : fill));
    return binding.createTensor([values.length], binding.TF_FLOAT, values);
  }

  private signs(): boolean {
    const x = this.nan(0, () => true);
    const kept = this.probe(this.sign.of(x));
    this.eager.delete(x);
    return kept;
  }

  private extremum(name: 'Maximum' | 'Minimum'): boolean {
    const x = this.nan(1, i => i % 2 === 0);
    const y = this.nan(1, i => i % 2 === 1);
    const kept = this.probe(this.eager.run(name, [x, y]));
    this.eager.delete(x);
    this.eager.delete(y);
    return kept;
  }

  private reduction(name: 'Max' | 'Min'): boolean {
    return [0, 18, 36].every(place => {
      const x = this.nan(1, i => i === place);
      const kept = this.probe(this.eager.run(name, [x, this.eager.int32([0])]));
      this.eager.delete(x);
      return kept;
    });
  }
}
