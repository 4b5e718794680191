export { inlineGraph } from './compose-graphs.js';
export {
  BINARY_OPERATIONS,
  type BinaryOperation,
  type Graph,
  type GraphNode,
  type GraphOutput,
  inputNames,
  type NodeExtent,
  needsMatrixView,
  operandsOf,
  REDUCTIONS,
  type Reduction,
  scalarNames,
  UNARY_OPERATIONS,
  type UnaryOperation,
} from './graph.js';
export { hostValues } from './host-operations.js';
export { interpret } from './interpreter.js';
export { lastReads } from './lifetimes.js';
export { neededNodes } from './pruned-graph.js';
export { simplify } from './simplify.js';
export { Tracer } from './tracer.js';
export { type Operand, select, Value } from './value.js';
