export function modelCard(folder: string, reportFile: string): string;
