export default {
  // Relative addresses: the built page works in any folder of any host.
  base: './',
  // The page uses files that examples share, one folder up.
  server: { fs: { allow: ['..'] } },
  build: { target: 'es2022', chunkSizeWarningLimit: 2000 },
};
