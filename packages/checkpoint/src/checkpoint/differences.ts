import type { Json } from '@frugaljs/core';
import type { Difference } from '../errors.js';

const LONGEST = 120;

/** Where two JSON values differ, leaf by leaf; the order of keys plays no part. */
export function differencesOf(saved: Json | undefined, now: Json | undefined, path = ''): Difference[] {
  if (saved === now) return [];
  if (isList(saved) && isList(now)) {
    const length = Math.max(saved.length, now.length);
    return Array.from({ length }, (_, i) => differencesOf(saved[i], now[i], `${path}[${i}]`)).flat();
  }
  if (isObject(saved) && isObject(now)) {
    const keys = [...new Set([...Object.keys(saved), ...Object.keys(now)])];
    return keys.flatMap(key => differencesOf(own(saved, key), own(now, key), path === '' ? key : `${path}.${key}`));
  }
  return [{ path, saved: show(saved), now: show(now) }];
}

type JsonObject = { readonly [key: string]: Json | undefined };

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}
