export {
  type AdaptableModel,
  type LinearAdapter,
  Lora,
  type LoraConfig,
  type LoraOptions,
  loraShapes,
  type TargetModule,
} from './lora.js';
export { loadPeft, type PeftFiles, peftFiles, type ReadPeftOptions } from './peft.js';
export { Relora, type ReloraOptimizer, type ReloraOptions, type RewarmedOptions, rewarmed } from './relora.js';
