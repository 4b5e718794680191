import { matrixView, type Rule, type Shape, sizeOf, slotBytes } from '@frugaljs/core';
import { adaLayer } from './ada-layer.js';
import { adafactor, oneSidedAdafactor } from './adafactor.js';
import { adagrad } from './adagrad.js';
import { adamMini } from './adam-mini.js';
import { adamW } from './adam-w.js';
import { factoredAdamW } from './factored-adam-w.js';
import { foam } from './foam.js';
import { ldAdam } from './ld-adam.js';
import { lion } from './lion.js';
import { muon } from './muon.js';
import { rmsprop } from './rmsprop.js';
import { sgdm } from './sgdm.js';
import { soap } from './soap.js';

/** What a table of rules, a configuration file or a test over all rules needs to know of one. */
export interface StateFullRuleEntry {
  /** Name of the factory and `kind` of its rules. */
  readonly kind: string;
  /** Makes the rule; the options are checked when it is called. */
  factory(options?: object): Rule;
  /** Where the method was published. */
  readonly source: string;
  /** Bytes of state with default options for a tensor of this shape. */
  stateBytes(shape: Shape): number;
  /** The same as text, for a matrix of m rows and n columns; r is m / 4 where m ≤ n. */
  readonly stateFormula: string;
}

const perElement =
  (count: number) =>
  (shape: Shape): number =>
    4 * count * sizeOf(shape);
const rowsOf = (shape: Shape): number => matrixView(shape)[0];
const rowsAndColumnsOf = (shape: Shape): number => matrixView(shape)[0] + matrixView(shape)[1];

/** Every rule of this package, in the order of the documentation. */
export const STATE_FULL_RULES: readonly StateFullRuleEntry[] = [
  { kind: 'adamW', factory: adamW, source: 'arXiv 1711.05101', stateBytes: perElement(2), stateFormula: '8 m n' },
  { kind: 'lion', factory: lion, source: 'arXiv 2302.06675', stateBytes: perElement(1), stateFormula: '4 m n' },
  { kind: 'sgdm', factory: sgdm, source: 'Polyak 1964', stateBytes: perElement(1), stateFormula: '4 m n' },
  {
    kind: 'adaLayer',
    factory: adaLayer,
    source: 'arXiv 2407.07972',
    stateBytes: shape => 4 * (sizeOf(shape) + 1),
    stateFormula: '4 (m n + 1)',
  },
  {
    kind: 'adafactor',
    factory: adafactor,
    source: 'arXiv 1804.04235',
    stateBytes: shape => 4 * (shape.length < 2 ? sizeOf(shape) : rowsAndColumnsOf(shape)),
    stateFormula: '4 (m + n)',
  },
  {
    kind: 'factoredAdamW',
    factory: factoredAdamW,
    source: 'arXiv 2407.07972',
    stateBytes: shape => 4 * (sizeOf(shape) + (shape.length < 2 ? sizeOf(shape) : rowsAndColumnsOf(shape))),
    stateFormula: '4 (m n + m + n)',
  },
  {
    kind: 'oneSidedAdafactor',
    factory: oneSidedAdafactor,
    source: 'AdaMeM, 2024',
    stateBytes: shape => 4 * rowsOf(shape),
    stateFormula: '4 m',
  },
  { kind: 'rmsprop', factory: rmsprop, source: 'Tieleman 2012', stateBytes: perElement(1), stateFormula: '4 m n' },
  {
    kind: 'adagrad',
    factory: adagrad,
    source: 'Duchi et al. 2011',
    stateBytes: perElement(1),
    stateFormula: '4 m n',
  },
  {
    kind: 'adamMini',
    factory: adamMini,
    source: 'arXiv 2406.16793',
    stateBytes: shape => 4 * (sizeOf(shape) + rowsOf(shape)),
    stateFormula: '4 (m n + m)',
  },
  {
    kind: 'foam',
    factory: foam,
    source: 'arXiv 2512.07112',
    stateBytes: shape => 8 * rowsOf(shape) * Math.ceil(matrixView(shape)[1] / 2),
    stateFormula: '8 m ⌈n / 2⌉',
  },
  { kind: 'muon', factory: muon, source: 'Jordan 2024', stateBytes: perElement(1), stateFormula: '4 m n' },
  {
    kind: 'ldAdam',
    factory: ldAdam,
    source: 'arXiv 2410.16103',
    stateBytes: shape => slotBytes(ldAdam().state(shape), shape),
    stateFormula: '4 (m n + r m + 2 r n)',
  },
  {
    kind: 'soap',
    factory: soap,
    source: 'arXiv 2409.11321',
    stateBytes: shape => slotBytes(soap().state(shape), shape),
    stateFormula: '8 (m n + m m + n n)',
  },
];
