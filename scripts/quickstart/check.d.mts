export function holdsAnswer(answer: string, expected: string): boolean;
