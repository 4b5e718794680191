// Names say what a file is about. A file called "utils" is about nothing, and grows.

const dumpingGround = /^(utils?|helpers?|misc|common|shared|stuff)(\.|$)/i;
const longFile = 450;

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkFileNames(workspace) {
  const code = workspace.files.filter(file => /^(packages|examples|tools)\//.test(file));
  const failures = code
    .filter(file => file.split('/').some(part => dumpingGround.test(part)))
    .map(file => `${file}: name the file or folder after the concept that it holds`);
  const sources = code.filter(file => /\/src\/.*\.ts$|^tools\/.*\.(ts|mjs)$/.test(file));
  const warnings = sources.flatMap(file => {
    const lines = workspace.read(file).split('\n').length - 1;
    return lines > longFile ? [`${file}: ${lines} lines; more than ${longFile} is usually two concepts`] : [];
  });
  return { failures, warnings, note: `${code.length} files` };
}
