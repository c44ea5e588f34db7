/** Ctrl-C and SIGTERM end a command in order: browsers closed, no partial file left. */

export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type StopSignal = (typeof STOP_SIGNALS)[number];

export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  signals: readonly StopSignal[] = STOP_SIGNALS,
): Promise<T> {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130); // asked twice: do not wait
    controller.abort();
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}
