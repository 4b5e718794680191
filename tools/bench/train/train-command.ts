import type { Print } from '../command.js';
export async function trainCommand(_args: readonly string[], _print: Print): Promise<void> {}
