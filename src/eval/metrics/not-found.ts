/** Absence as a metric; the pipeline tells it of every answer. */
export { saysNotFound } from '../../pipeline/says-not-found.js';
