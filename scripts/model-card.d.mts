export function modelCard(folder: string, reportFile: string, passagesFile: string): string;
