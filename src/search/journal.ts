/**
 * The trial log: what a search decided and measured, one line of JSON after the other, only ever
 * added to. A search that goes on runs through the same steps again; a step that the log holds is
 * read instead of done. So a run that was killed at any byte ends as if it had never stopped.
 */

import { GlyphpressError } from '../errors.js';
import { LineLog, recoverLines } from '../store/line-log.js';

export interface Entry<Body = unknown> {
  /** Which step of the search this is: the same steps come in the same order in every run. */
  step: string;
  body: Body;
}

export class Journal {
  readonly #path: string;
  readonly #log: LineLog;
  readonly #known: Entry[];
  #next = 0;

  /**
   * @param path of the log; made if there is none. A last line without an end is cut off
   * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED
   */
  constructor(path: string) {
    this.#path = path;
    this.#known = recoverEntries(path);
    this.#log = new LineLog(path);
  }

  /** Steps that are still to be read back. */
  get ahead(): number {
    return this.#known.length - this.#next;
  }

  /**
   * The next step's body, if the log holds it.
   *
   * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED if the log goes on with another step
   */
  replay<Body>(step: string): Body | undefined {
    const entry = this.#known[this.#next];
    if (!entry) return undefined;
    if (entry.step !== step) {
      throw damaged(this.#path, this.#next + 1, `expected the step "${step}", got "${entry.step}"`);
    }
    this.#next++;
    return entry.body as Body;
  }

  add(step: string, body: unknown): void {
    this.#log.add({ step, body });
  }

  /** Read back or done and written. */
  async step<Body>(step: string, work: () => Promise<Body> | Body): Promise<Body> {
    const known = this.replay<Body>(step);
    if (known !== undefined) return known;
    const body = await work();
    this.add(step, body);
    return body;
  }

  close(): void {
    this.#log.close();
  }
}

/**
 * As {@link recoverLines}.
 *
 * @throws {GlyphpressError} GP_ARTIFACT_DAMAGED
 */
export function recoverEntries(path: string): Entry[] {
  return recoverLines(path, (line, number) => parseEntry(line, path, number));
}

function parseEntry(line: string, path: string, number: number): Entry {
  try {
    const entry = JSON.parse(line) as Entry;
    if (typeof entry?.step === 'string' && 'body' in entry) return entry;
  } catch {}
  throw damaged(path, number, 'it is no step of a search');
}

function damaged(path: string, line: number, problem: string): GlyphpressError {
  return new GlyphpressError('GP_ARTIFACT_DAMAGED', {
    message: `${path}: line ${line}: ${problem}`,
    hint: 'Delete that line and those behind it to have them done again, or start a new run.',
    details: { file: path, line },
  });
}
