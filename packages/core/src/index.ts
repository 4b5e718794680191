export type { Combine, CombineInputs, CombineOutputs } from './combine.js';
export * from './errors.js';
export * from './expression/index.js';
export type { Described, Json } from './json.js';
export {
  type GradientJudge,
  type JudgeLimits,
  type Judgement,
  type JudgeReport,
  type KernelInputs,
  type KernelSet,
  kernelsFor,
  type NumberedGradient,
  registerKernels,
  type SplitAxis,
  type SplitTier,
} from './kernels.js';
export {
  didYouMean,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
} from './options.js';
export { perBackend } from './per-backend.js';
export type { Basis, BasisSpec, FitContext, Projector, ProjectorTraits } from './projector.js';
export * from './random/index.js';
export { roundHalfToEven } from './rounding.js';
export {
  type ExpressionRule,
  expressionRule,
  type OnRefresh,
  type Refresh,
  type Rule,
  type RuleInputs,
  type RuleOutputs,
  type StateFreeRule,
  type SubspaceRule,
  type TensorRule,
  type TensorRuleInputs,
  type TensorRuleOutputs,
  tensorRule,
} from './rule.js';
export * from './schedules/index.js';
export { matrixView, type Shape, sameShape, sizeOf } from './shape.js';
export { childSite, type Site, type SiteMember, soleSite } from './site.js';
export { type Extent, type SlotSpec, slotBytes, slotShape } from './slots.js';
export { traceCombine, traceRule } from './trace.js';
