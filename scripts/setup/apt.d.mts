export declare function whyNotApt(options?: {
  allowed?: boolean | undefined;
  uid?: number | undefined;
  env?: NodeJS.ProcessEnv | undefined;
}): string | null;

export declare function aptInstall(
  packages: readonly string[],
  options: {
    env?: NodeJS.ProcessEnv | undefined;
    progress: (line: string) => void;
    policyPath?: string | undefined;
  },
): Promise<{ installed: string | null; output: string }>;
