/** What stands in the manifest of an artifact, and how damage to it is found. */

import { GlyphpressError } from '../errors.js';
import { sha256Hex } from '../sha256.js';

export const MANIFEST_FILE = 'manifest.json';

export interface ArtifactForm {
  kind: string;
  version: number;
}

export interface FileSum {
  bytes: number;
  /** SHA-256, hex. */
  sha256: string;
}

export interface Manifest<Body> {
  /** What kind of artifact, and in which version of its form. */
  kind: string;
  version: number;
  /** What it was made from and with; equal keys, equal artifacts. */
  key: Record<string, string>;
  body: Body;
  files: Record<string, FileSum>;
}

/** A manifest with its checksum on a line of its own. */
export function manifestText(manifest: Manifest<unknown>): string {
  return signed(JSON.stringify(manifest));
}

/** @returns null for anything but what {@link manifestText} gave */
export function parseManifest<Body>(text: string): Manifest<Body> | null {
  const json = text.slice(0, text.indexOf('\n'));
  return json !== '' && text === signed(json) ? (JSON.parse(json) as Manifest<Body>) : null;
}

function signed(json: string): string {
  return `${json}\n${sha256Hex(json)}\n`;
}

/** Whether these are the bytes that a manifest tells of. */
export function matchesSum(bytes: Uint8Array, expected: FileSum): boolean {
  return bytes.length === expected.bytes && sha256Hex(bytes) === expected.sha256;
}

export function damaged(file: string, problem: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${file} ${problem}`,
    hint: 'It can be made again from its source: run the command that made it.',
    details: { file },
    cause,
  });
}
