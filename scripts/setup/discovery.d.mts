export declare const MINIMUM_NODE: string;
export declare const MINIMUM_REDIS: string;

export type ChromiumSource = 'GLYPHPRESS_CHROME' | 'puppeteer cache' | 'PATH' | 'system path';
export type RedisSource = 'GLYPHPRESS_REDIS_SERVER' | 'PATH' | 'system path';

export interface FoundChromium {
  path: string;
  /** Four numbers, for example `156.0.8078.79`; `unknown` on Windows. */
  version: string;
  source: ChromiumSource;
}

export interface FoundRedisServer {
  path: string;
  version: string;
  kind: 'Redis' | 'Valkey';
  source: RedisSource;
}

/** A candidate that exists by name but did not work. */
export interface RejectedCandidate {
  path: string;
  source: string;
  problem: string;
}

export interface Discovery<T> {
  found: T | null;
  rejected: RejectedCandidate[];
}

export interface ChromiumDiscoveryOptions {
  env?: NodeJS.ProcessEnv | undefined;
  platform?: NodeJS.Platform | undefined;
  home?: string | undefined;
  systemPaths?: readonly string[] | undefined;
}

export interface RedisDiscoveryOptions {
  env?: NodeJS.ProcessEnv | undefined;
  systemFolders?: readonly string[] | undefined;
}

export interface SandboxState {
  usable: boolean;
  reason: string;
}

export declare function compareVersions(a: string, b: string): number;
export declare function findOnPath(name: string, env?: NodeJS.ProcessEnv): string | null;
export declare function discoverChromium(
  options?: ChromiumDiscoveryOptions,
): Discovery<FoundChromium>;
export declare function discoverRedisServer(
  options?: RedisDiscoveryOptions,
): Discovery<FoundRedisServer>;
export declare function chromiumSandbox(options?: {
  platform?: NodeJS.Platform | undefined;
  uid?: number | undefined;
  env?: NodeJS.ProcessEnv | undefined;
}): SandboxState;
export declare function chromiumChoices(platform?: NodeJS.Platform): string[];
export declare function redisChoices(platform?: NodeJS.Platform): string[];
