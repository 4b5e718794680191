import { createRequire } from 'node:module';
import remarkValidateLinks from 'remark-validate-links';
import publishedLinks from './tools/check/published-links.mjs';

const { repository } = createRequire(import.meta.url)('./package.json');

/**
 * Relative links in Markdown lead to files that exist, and fragments to headings that exist. So do links to this repository
 * by its address: the README of a package may link to pages that its tarball lacks. The network is not asked.
 */
export default {
  plugins: [publishedLinks, [remarkValidateLinks, { repository: repository.url.replace(/^git\+|\.git$/g, '') }]],
};
