export { constant } from './constant.js';
export { type CosineOptions, cosine } from './cosine.js';
export { registerSchedule, scheduleFromJson } from './from-json.js';
export { type JoinedPart, joined } from './joined.js';
export { type LinearOptions, linear } from './linear.js';
export type { Schedule } from './schedule.js';
export { type WarmupCosineOptions, warmupCosine } from './warmup-cosine.js';
export { type WarmupStableDecayOptions, warmupStableDecay } from './warmup-stable-decay.js';
