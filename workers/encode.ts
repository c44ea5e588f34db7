/** The queue `encode`: the visual tokens of its pages; a long document is split into jobs for page ranges. */

import type { StageWorker } from '../src/queue/stage-worker.js';
import { compressionSteps } from '../src/service/steps.js';
import { documentStage, type WorkerParts } from './document-stage.js';

export const encode = (parts: WorkerParts): StageWorker =>
  documentStage('encode', compressionSteps(parts).encode, parts);
