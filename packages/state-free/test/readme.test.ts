import { STATE_FREE_RULES } from '@frugaljs/state-free';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import { describeReadme } from '../../../tools/test-support/rule-catalog.js';

describeReadme(new ReadmeTables(new URL('../README.md', import.meta.url)), STATE_FREE_RULES);
