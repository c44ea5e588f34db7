/** The text of src/prune/row-kernel-code.ts, as its source says now. */
export function kernelModule(): Promise<string>;
