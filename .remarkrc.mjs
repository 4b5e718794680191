import remarkValidateLinks from 'remark-validate-links';

/** Relative links in Markdown lead to files that exist, and fragments to headings that exist; the network is not asked. */
export default { plugins: [[remarkValidateLinks, { repository: false }]] };
