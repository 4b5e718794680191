// A program that goes wrong after tfjs's wasm backend has started. The argument says how.
import '@frugaljs/backend-wasm';
import { setBackend } from '@tensorflow/tfjs-core';

if (process.argv[2] === 'a handler of the user') {
  process.on('uncaughtException', error => {
    console.error(`handled: ${(error as Error).message}`);
    process.exit(3);
  });
}
await setBackend('wasm');
if (process.argv[2] === 'a rejection') void Promise.reject(new Error('of the user'));
else {
  setTimeout(() => {
    throw new Error('of the user');
  });
}
