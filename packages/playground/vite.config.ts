import { defaultClientConditions, defineConfig } from 'vite';
import { CONTENT_SECURITY_POLICY } from './src/content-security-policy.js';

// What the page is allowed to do stands in one place: it goes into the page itself, for any static host, and into the
// headers of the preview server, which also bind the worker.
const headers = { 'Content-Security-Policy': CONTENT_SECURITY_POLICY, 'X-Content-Type-Options': 'nosniff' };

export default defineConfig({
  // Relative addresses: the built page works in any folder of any host.
  base: './',
  resolve: { conditions: ['@frugaljs/source', ...defaultClientConditions] },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // An inlined file would be a data: address, which the policy refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { checks: { pluginTimings: false } },
    // Of what has no license in its own lines; tfjs's notices stay in its.
    license: { fileName: 'licenses.md' },
  },
  preview: { headers },
  plugins: [
    {
      name: 'content-security-policy',
      apply: 'build',
      transformIndexHtml: () => [
        {
          tag: 'meta',
          attrs: { 'http-equiv': 'Content-Security-Policy', content: CONTENT_SECURITY_POLICY },
          injectTo: 'head-prepend',
        },
      ],
    },
  ],
});
