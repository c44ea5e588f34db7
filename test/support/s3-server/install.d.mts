export declare function s3ServerFolder(env?: NodeJS.ProcessEnv): string;
export declare function s3ServerCommand(
  port: number,
  env?: NodeJS.ProcessEnv,
): { command: string; args: string[]; env: NodeJS.ProcessEnv } | null;
