/**
 * `@frugaljs/trainer`: training runs and comparisons of optimizers, and the `frugal` command. Nothing that this entry
 * exports needs Node; what reads and writes files is part of the command.
 */
export { guardWasmHeap } from '@frugaljs/backend-wasm/heap-guard';
export { DeviceLostError, type MemoryKind, OutOfMemoryError } from '@frugaljs/core';
export {
  type BackendLimits,
  type BackendName,
  type BackendName as PlannedBackend,
  backendLimits,
  backendNames,
  backendNames as plannedBackends,
  registerGradients,
  selectBackend,
} from './backend.js';
export { type CompareOptions, compare, comparisonModel } from './comparison/compare.js';
export {
  type JsonObject,
  type Method,
  type MethodSpec,
  optimizerOf,
  parseMethods,
  type RunLength,
  tunedMethod,
  updateGap,
} from './comparison/method.js';
export {
  COMPARISON_DEFAULTS,
  type Comparison,
  type ComparisonDefaults,
  type ComparisonSettings,
  caveat,
  comparisonTable,
  type RunResult,
  type RunStatus,
} from './comparison/result.js';
export { LossSpikeDetector, type RollbackOptions } from './durable/rollback.js';
export type { Rollback, RunState } from './durable/saver.js';
export { type DurableOptions, type DurableResult, trainDurably } from './durable/train-durably.js';
export { DivergedError, explainFailure } from './errors.js';
export {
  type LlamaModel,
  type MemoryEstimate,
  memoryOf,
  type OtherModel,
  type PlannedModel,
} from './memory/memory-of.js';
export type { Candidate } from './memory/methods.js';
export { limitsOf, outOfMemoryAdvice, type Plan, type PlanOptions, plan, type Room } from './memory/plan.js';
export { comparisonReport } from './report/report.js';
export { type ScheduleName, type ScheduleOptions, scheduleNames, trainingSchedule } from './training/schedule.js';
export {
  type GradientConsumer,
  type Step,
  type StepsOptions,
  type TrainableModel,
  type TrainingData,
  trainingSteps,
} from './training/steps.js';
export {
  type Evaluation,
  evaluate,
  type RunHistory,
  RunRecord,
  SmoothedLoss,
  type StepEnd,
  smoothed,
  type Timing,
  type TrainingResult,
  type TrainOptions,
  train,
} from './training/train.js';
