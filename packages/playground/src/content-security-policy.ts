const DIRECTIVES: Readonly<Record<string, string>> = {
  'default-src': "'none'",
  // 'wasm-unsafe-eval' permits compiling WebAssembly and nothing else: neither eval nor new Function.
  'script-src': "'self' 'wasm-unsafe-eval'",
  'worker-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self'",
  // The WebAssembly binary, from the page's own folder.
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
};

/** What the page may load and run: its own files, and nothing from anywhere else. */
export const CONTENT_SECURITY_POLICY: string = Object.entries(DIRECTIVES)
  .map(([directive, sources]) => `${directive} ${sources}`)
  .join('; ');
