import { recipe } from '@frugaljs/composer';
import { InvalidOptionError, type Json, type Schedule } from '@frugaljs/core';

export type JsonObject = { readonly [key: string]: Json | undefined };

/** An optimizer to compare: a recipe and its options. */
export interface Method {
  /** Name in the table and the report. */
  readonly label: string;
  /** Name of the recipe. */
  readonly recipe: string;
  /** Options of the recipe, without learning rate and seed. */
  readonly options: JsonObject;
  /** Peak of the schedule. */
  readonly learningRate: number;
}

/** Builds the optimizer of a method. */
export function optimizerOf(method: Method, schedule: Schedule, seed: number): ReturnType<typeof recipe> {
  const learningRate = { kind: schedule.kind, options: schedule.options };
  return recipe(method.recipe, { ...method.options, learningRate, seed });
}

/** A method as a user writes it: `name` or `name:option=value:option=value`. */
export interface MethodSpec {
  readonly name: string;
  readonly options: JsonObject;
}

/**
 * Reads a comma-separated list of methods, such as `adamW,frugal:density=0:lr=0.002`. Values are numbers, true,
 * false or names. `lr` is short for `learningRate`.
 *
 * @throws InvalidOptionError for an empty list or an option without a value.
 */
export function parseMethods(list: string): MethodSpec[] {
  const specs = list
    .split(',')
    .map(text => text.trim())
    .filter(text => text !== '');
  if (specs.length === 0) {
    throw new InvalidOptionError({
      parameter: 'optimizers',
      found: list,
      expected: 'names with commas between them, such as adamW,frugal:density=0',
    });
  }
  return specs.map(spec => {
    const [name, ...assignments] = spec.split(':');
    return { name: name!, options: Object.fromEntries(assignments.map(text => parseOption(text, 'optimizers'))) };
  });
}

/**
 * Reads `option=value`.
 *
 * @throws InvalidOptionError if it is not of that form.
 */
export function parseOption(text: string, parameter: string): [key: string, value: Json] {
  const [, key, value] = /^\s*([A-Za-z]\w*)\s*=\s*(.+?)\s*$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidOptionError({ parameter, found: text, expected: 'option=value, such as density=0.25' });
  }
  return [key === 'lr' ? 'learningRate' : key, jsonOrString(value)];
}

function jsonOrString(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
