/** Workers on machines of their own, simulated from the times that stages took: which limits show when there are many. */

export interface StageTimes {
  /** Of one document, in ms. */
  extractMs: number;
  renderMs: number;
  encodeMs: number;
  prefillMs: number;
  pages: number;
}

interface Job {
  stage: keyof Queues;
  ms: number;
  document: number;
}

interface Queues {
  extract: Job[];
  render: Job[];
  encode: Job[];
  prefill: Job[];
}

const STAGES = ['prefill', 'encode', 'render', 'extract'] as const;

/**
 * Every worker takes one job of each stage at a time, as it does by default, and as many jobs in all as it
 * has cores. A document whose pages are more than `pagesPerJob` is encoded in parts, which any worker takes.
 *
 * @returns when the last document is done, and when the first half is, in ms
 */
export function simulate(
  documents: readonly StageTimes[],
  workers: number,
  { cores = 2, pagesPerJob = 16 } = {},
): { makespanMs: number; medianMs: number } {
  const waiting: Queues = { extract: [], render: [], encode: [], prefill: [] };
  const parts = documents.map(({ pages }) => Math.max(1, Math.ceil(pages / pagesPerJob)));
  const left = [...parts];
  const ended: number[] = [];
  const busy = Array.from({ length: workers }, () => new Set<keyof Queues>());
  const running: { endMs: number; worker: number; job: Job }[] = [];
  documents.forEach(({ extractMs }, document) => {
    waiting.extract.push({ stage: 'extract', ms: extractMs, document });
  });
  let nowMs = 0;
  const next = ({ stage, document }: Job): Job[] => {
    const { renderMs, encodeMs, prefillMs } = documents[document]!;
    if (stage === 'extract') return [{ stage: 'render', ms: renderMs, document }];
    if (stage === 'render') {
      const ms = encodeMs / parts[document]!;
      return Array.from({ length: parts[document]! }, () => ({ stage: 'encode', ms, document }));
    }
    if (stage === 'encode')
      return --left[document]! === 0 ? [{ stage: 'prefill', ms: prefillMs, document }] : [];
    ended.push(nowMs);
    return [];
  };
  const start = () => {
    for (const [worker, stages] of busy.entries()) {
      for (const stage of STAGES) {
        if (stages.size >= cores || stages.has(stage)) continue;
        const job = waiting[stage].shift();
        if (!job) continue;
        stages.add(stage);
        running.push({ endMs: nowMs + job.ms, worker, job });
      }
    }
  };
  for (start(); running.length > 0; start()) {
    running.sort((a, b) => a.endMs - b.endMs);
    const { endMs, worker, job } = running.shift()!;
    nowMs = endMs;
    busy[worker]!.delete(job.stage);
    for (const following of next(job)) waiting[following.stage].push(following);
  }
  return { makespanMs: nowMs, medianMs: ended[ended.length >> 1] ?? 0 };
}
