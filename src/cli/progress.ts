/** One line of progress on stderr: rewritten on a terminal, every few seconds elsewhere, silent for short work. */

export interface ProgressState {
  stage: string;
  /** Units done, and of how many where that is known. */
  done: number;
  total?: number;
  unit: string;
  /** Share of the whole work, 0 to 1, where units alone cannot say. */
  share?: number;
}

const TERMINAL_EVERY_MS = 100;
const LOG_EVERY_MS = 5_000;

export class Progress {
  readonly #out: NodeJS.WriteStream;
  #start = performance.now();
  #stage: string | null = null;
  #shownAt = -Infinity;
  #open = false;

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
    if (!out.isTTY) this.#shownAt = this.#start;
  }

  update(state: ProgressState): void {
    const now = performance.now();
    if (state.stage !== this.#stage) {
      // Rates and remaining time are those of the stage.
      this.#stage = state.stage;
      this.#start = now;
    }
    if (now - this.#shownAt < (this.#out.isTTY ? TERMINAL_EVERY_MS : LOG_EVERY_MS)) return;
    this.#shownAt = now;
    const line = progressLine(state, (now - this.#start) / 1000);
    this.#out.write(this.#out.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
    this.#open = true;
  }

  /** Clears the line, so that results start on a clean one. */
  stop(): void {
    if (this.#open && this.#out.isTTY) this.#out.write('\r\x1b[K');
    this.#open = false;
  }
}

function progressLine(state: ProgressState, seconds: number): string {
  const { stage, done, total, unit } = state;
  const share = state.share ?? (total ? done / total : undefined);
  const parts = [`${stage}: ${done}${total === undefined ? '' : ` of ${total}`} ${unit}`];
  if (seconds > 0.5 && done > 0) parts.push(`${(done / seconds).toFixed(1)} ${unit}/s`);
  if (share !== undefined && share > 0.01 && seconds > 1) {
    parts.push(`about ${formatSeconds((seconds * (1 - share)) / share)} left`);
  }
  return parts.join(', ');
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`;
}

const STAGE_UNITS: Record<string, string> = { render: 'pages', encode: 'pages', prefill: 'rows' };

/** The hook of the pipeline, as a line of progress. @param before what is worked on, where there are several */
export function compressProgress(progress: Progress, before = '') {
  return (stage: string, done: number, share: number) =>
    progress.update({
      stage: `${before}${stage}`,
      done,
      unit: STAGE_UNITS[stage] ?? 'steps',
      share,
    });
}
