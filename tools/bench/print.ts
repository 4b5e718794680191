/** Writes a line of the report. */
export type Print = (line: string) => void;
