/** What engines say when an array or a buffer cannot be had. */
const NO_MEMORY = /out of memory|allocation|array length|memory access|too large|aborted/i;

/** An error in words for the page. One that comes of too little memory says what helps. */
export function failureMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error;
  const isEngine =
    error instanceof WebAssembly.RuntimeError || error instanceof RangeError || error.name === 'OperationError';
  if (!isEngine || !NO_MEMORY.test(message)) return message;
  return `Most likely memory ran out (${message}). Start again with a smaller model, batch or context, or fewer optimizers.`;
}
