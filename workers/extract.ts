/** The queue `extract`: the text of a document. */

import type { StageWorker } from '../src/queue/stage-worker.js';
import { compressionSteps } from '../src/service/steps.js';
import { documentStage, type WorkerParts } from './document-stage.js';

export const extract = (parts: WorkerParts): StageWorker =>
  documentStage('extract', compressionSteps(parts).extract, parts);
