/** The queue `render`: the pages of a text. */

import type { StageWorker } from '../src/queue/stage-worker.js';
import { compressionSteps } from '../src/service/steps.js';
import { documentStage, type WorkerParts } from './document-stage.js';

export const render = (parts: WorkerParts): StageWorker =>
  documentStage('render', compressionSteps(parts).render, parts);
