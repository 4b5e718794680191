/** A word as it is typed into a POSIX shell: in quotes if it has anything that the shell would read otherwise. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
