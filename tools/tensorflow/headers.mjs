import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CannotPrepare } from './run.mjs';

/**
 * The folder under which this Node has its headers, include/node/node.h. They are never downloaded.
 *
 * @returns {string}
 * @throws {CannotPrepare} when it has none
 */
export function findHeaders() {
  const configured = process.env.npm_config_nodedir;
  const folders = [configured, dirname(dirname(process.execPath)), '/usr', '/usr/local'];
  for (const folder of folders) {
    if (folder && existsSync(join(folder, 'include', 'node', 'node.h'))) return folder;
  }
  throw new CannotPrepare(
    `no headers of Node beside ${process.execPath}; the archives of nodejs.org have them, npm_config_nodedir names others`,
  );
}
