/** The queue `prefill`: drops tokens, prefills the model and stores the compressed context. */

import type { StageWorker } from '../src/queue/stage-worker.js';
import { compressionSteps } from '../src/service/steps.js';
import { documentStage, type WorkerParts } from './document-stage.js';

export const prefill = (parts: WorkerParts): StageWorker =>
  documentStage('prefill', compressionSteps(parts).prefill, parts);
