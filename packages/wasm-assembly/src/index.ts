export { Code, encode, type Operand, sequence, signed, unsigned } from './code.js';
export { f32, f32x4, f64, f64x2, i32, i32x4, memory, repeatWhile, select, v128, when } from './instructions.js';
export { type Call, FunctionScope, integers, Local, ModuleBuilder, type ValueType } from './module.js';
