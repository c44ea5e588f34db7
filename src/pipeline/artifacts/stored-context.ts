/** A compressed document on disk: source text, pages, report, and the context that questions are asked over. */

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { describePlan, type PrunePlan } from '../../prune/index.js';
import type { RenderConfig } from '../../render/index.js';
import {
  type ArtifactForm,
  isArtifactProblem,
  type Manifest,
  readArtifactFile,
  readManifest,
  writeArtifact,
} from '../../store/artifact-folder.js';
import { differingParts } from '../../store/artifact-key.js';
import type { AnyPlace } from '../../store/place.js';
import type { ModelInfo, PrefilledContext } from '../../vlm/index.js';
import type { Sidecar } from '../exact-values/sidecar.js';
import type { DocumentFile } from '../inputs/document-files.js';
import type { SourceDocument } from '../read-document.js';
import type { CompressionReport } from '../report.js';
import { CONTEXT_FILE, readContext } from './context-file.js';
import type { Key } from './keys.js';

/** The one form of a compressed folder; raised when its files change meaning. */
export const CONTEXT_FORM: ArtifactForm = { kind: 'glyphpress-context', version: 1 };

export const SOURCE_FILE = 'source.txt';
export const REPORT_FILE = 'report.json';
export const SIDECAR_FILE = 'sidecar.txt';

export interface CompressedBody {
  documentId: string;
  documentHash: string;
  renderConfig: RenderConfig;
  plan: PrunePlan;
  modelDir: string;
  report: CompressionReport;
  /** What the document was made of; absent where that was not told. */
  files?: readonly DocumentFile[];
  /** What `--sidecar` asked for, and what it gave. */
  sidecar?: Sidecar & { budget: number };
}

export interface StoredContext {
  report: CompressionReport;
  context: PrefilledContext;
}

/** The context with this key, or why there is none: null for a place without any. */
export async function readStoredContext(
  folder: AnyPlace,
  key: Key,
): Promise<StoredContext | { problem: string | null }> {
  try {
    const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
    if (!manifest) return { problem: null };
    const differing = differingParts(manifest.key, key);
    if (differing.length > 0)
      return { problem: `it was made with another ${differing.join(', ')}` };
    return { report: manifest.body.report, context: await readContextFile(folder, manifest) };
  } catch (error) {
    if (isArtifactProblem(error)) return { problem: error.message };
    throw error;
  }
}

/** The report of the context with this key; null where there is none. Its bytes are not looked at. */
export async function storedReport(folder: AnyPlace, key: Key): Promise<CompressionReport | null> {
  try {
    const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
    if (!manifest || differingParts(manifest.key, key).length > 0) return null;
    return manifest.body.report;
  } catch (error) {
    if (isArtifactProblem(error)) return null;
    throw error;
  }
}

/** Whatever context lies there. @throws {GlyphpressError} GP_ARTIFACT_DAMAGED for none */
export async function openStoredContext(
  folder: AnyPlace,
): Promise<StoredContext & { manifest: Manifest<CompressedBody> }> {
  const manifest = await readManifest<CompressedBody>(folder, CONTEXT_FORM);
  if (!manifest) {
    throw new GlyphpressError('GP_ARTIFACT_DAMAGED', {
      message: 'The context of this document is no longer in the store',
      hint: 'Submit the same document again: its context is made anew, for this one too.',
    });
  }
  const context = await readContextFile(folder, manifest);
  return { report: manifest.body.report, context, manifest };
}

async function readContextFile(
  folder: AnyPlace,
  manifest: Manifest<CompressedBody>,
): Promise<PrefilledContext> {
  return readContext(await readArtifactFile(folder, manifest, CONTEXT_FILE));
}

export interface ContextParts {
  document: SourceDocument;
  renderConfig: RenderConfig;
  plan: PrunePlan;
  model: ModelInfo;
  sidecar: (Sidecar & { budget: number }) | null;
}

/**
 * @param fill writes pages and context into the folder that it is given
 * @returns the context as it was stored: a fresh one answers with the same rounded values as one that
 *   is read later
 */
export async function writeStoredContext(
  folder: AnyPlace,
  key: Key,
  { document, renderConfig, plan, model, sidecar }: ContextParts,
  fill: (folder: string) => Promise<CompressionReport>,
): Promise<StoredContext> {
  let context!: PrefilledContext;
  const { body } = await writeArtifact<CompressedBody>(
    folder,
    CONTEXT_FORM,
    key,
    async (temporary) => {
      await writeFile(path.join(temporary, SOURCE_FILE), document.text);
      if (sidecar) await writeFile(path.join(temporary, SIDECAR_FILE), sidecar.text);
      const report = await fill(temporary);
      // From here, because another process may replace the finished folder at any time.
      context = readContext(await readFile(path.join(temporary, CONTEXT_FILE)));
      await writeFile(path.join(temporary, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
      return {
        documentId: document.id,
        documentHash: document.hash,
        renderConfig,
        plan: { id: plan.id ?? describePlan(plan), ...plan },
        modelDir: model.dir,
        report,
        ...(document.files && { files: document.files }),
        ...(sidecar && { sidecar }),
      };
    },
  );
  return { report: body.report, context };
}
