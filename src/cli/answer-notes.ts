/** Notes printed with an answer: its confidence and its citations. */

import type { AskResult } from '../pipeline/ask-result.js';
import type { Citation } from '../pipeline/citing/citations.js';
import type { ReportSoFar } from '../pipeline/report.js';

type Place = Pick<Citation, 'page' | 'start' | 'end' | 'file'>;

/** @returns a line, or nothing where there is nothing to say */
export function answerNotes(result: AskResult<ReportSoFar>): string {
  const {
    confidence,
    calibrated,
    doubtful,
    citations,
    found,
    answer,
    finishReason,
    usage,
    expanded,
    support,
    report,
  } = result;
  const notes: string[] = [];
  if (finishReason === 'length') {
    const after =
      usage.completionTokens === null ? '' : ` after ${whole(usage.completionTokens)} tokens`;
    notes.push(`cut off${after}: --max-tokens gives it more room`);
  }
  if (finishReason === 'loop') notes.push('cut off where it began to repeat itself');
  if (confidence !== null)
    notes.push(`confidence ${confidence.toFixed(2)}${calibrated ? '' : ' (uncalibrated)'}`);
  if (doubtful) notes.push('hardly supported by the text: it may not say this at all');
  const { expandedTokens, passages, stackedRatio } = report;
  if (expandedTokens !== undefined)
    notes.push(
      `read as text${passages === 'alone' ? ', without the pages' : ''}: ${counted(expanded.length, 'passage')} of ${counted(expandedTokens, 'token')}${stackedRatio === null ? '' : `, ${stackedRatio.toFixed(2)}× in all`}`,
    );
  if (support === 'none') notes.push('names a value that stands nowhere in the text');
  if (citations.length > 0) notes.push(citations.map(placeText).join('; '));
  else if (found && answer !== '') notes.push('nothing in the text is like this answer');
  return notes.join(' | ');
}

export function placeText({ file, ...place }: Place): string {
  if (!file)
    return `${place.page === null ? '' : `page ${place.page}, `}characters ${range(place)}`;
  // The page of the file is what its reader turns to; that of the drawing is for whoever looks at it.
  const page = file.page === undefined ? '' : `, page ${file.page}`;
  return `${file.name}${page}, characters ${range(file)}${place.page === null ? '' : ` (drawn page ${place.page})`}`;
}

const range = ({ start, end }: { start: number; end: number }) => `${whole(start)}–${whole(end)}`;

const counted = (n: number, noun: string) => `${whole(n)} ${noun}${n === 1 ? '' : 's'}`;

const whole = (n: number) => n.toLocaleString('en-US');
