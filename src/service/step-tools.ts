/** What the steps of a document are done with. */

import type { DrawOptions } from '../pipeline/artifacts/page-source.js';
import type { ContentStore } from './content-store.js';
import { assertRoomForWork } from './disk-room.js';
import type { ModelRegistry } from './models.js';

export interface StepTools {
  store: ContentStore;
  models: ModelRegistry;
  chromium?: DrawOptions['chromium'] | undefined;
  browsers?: number | undefined;
  /** Pages that one job encodes, so that several workers share a long document. @defaultValue 16 */
  pagesPerJob?: number | undefined;
  /** That a document larger than its model is read in; 1 refuses it. @defaultValue 64 */
  maxParts?: number | undefined;
  /** Of each tenant, and what of it is used; absent for no limit. */
  quota?: { bytes: number; usedBytes(tenant: string): Promise<number> } | undefined;
}

export const DEFAULT_PAGES_PER_JOB = 16;
export const DEFAULT_MAX_PARTS = 64;

export function assertDiskRoom({ root, reserveBytes }: ContentStore, needBytes = 0): void {
  assertRoomForWork(root, needBytes, reserveBytes);
}
