/** Absence as a metric; the pipeline tells it of every answer. */
export { saysNotFound } from '../../pipeline/citing/says-not-found.js';
