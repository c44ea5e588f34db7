/** How answers are compared; the pipeline compares them with what was read in the same way. */
export { hasPhrase, plainWords } from '../../pipeline/plain-words.js';
