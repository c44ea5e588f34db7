/**
 * The thread that owns the sessions: a session's run() blocks its thread's event loop.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Engine } from '../engine.js';
import { kvMemory } from '../kv-rows.js';
import type { DropInput, DropPoint, Selection } from '../prefill.js';
import {
  type FromWorker,
  type PrefillReply,
  serialiseError,
  type ToWorker,
  type WorkerData,
} from './protocol.js';

const port = parentPort!;
const { dir, options } = workerData as WorkerData;
const engine = Engine.open(dir, options);
// Whoever calls first gets the error; without this line Node would end the process before that.
engine.catch(() => {});

interface Job {
  abort: AbortController;
  ended: Promise<void>;
  selected?: (kept: Selection | undefined) => void;
}
const jobs = new Map<number, Job>();

port.on('message', (message: ToWorker) => {
  if (message.kind === 'abort') jobs.get(message.id)?.abort.abort();
  else if (message.kind === 'selected') jobs.get(message.id)?.selected?.(message.kept);
  else void handle(message);
});

type Call = Extract<ToWorker, { kind: 'call' }>;

async function handle(call: Call): Promise<void> {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const job: Job = { abort: new AbortController(), ended };
  jobs.set(call.id, job);
  try {
    const { reply, transfer } = await dispatch(call, job);
    send({ kind: 'reply', id: call.id, reply }, transfer);
  } catch (error) {
    send({ kind: 'error', id: call.id, error: serialiseError(error) });
  } finally {
    jobs.delete(call.id);
    end();
  }
}

async function dispatch(
  call: Call,
  job: Job,
): Promise<{ reply: unknown; transfer?: ArrayBuffer[] }> {
  const ready = await engine;
  switch (call.method) {
    case 'open':
      return { reply: undefined };
    case 'encodeImage': {
      const reply = await ready.encodeImage(call.request, call.group);
      return { reply, transfer: [reply.tokens.buffer as ArrayBuffer] };
    }
    case 'prefill':
      return prefill(ready, call, job);
    case 'loadContext':
      return { reply: ready.loadContext(call.request) };
    case 'dropContext':
      return { reply: ready.dropContext(call.request) };
    case 'countContexts':
      return { reply: ready.contextCount };
    case 'embedTokens': {
      const reply = ready.embedTokens(call.request);
      return { reply, transfer: [reply.buffer as ArrayBuffer] };
    }
    case 'generate': {
      const onToken = (tokenId: number, logProb: number) =>
        send({ kind: 'token', id: call.id, tokenId, logProb });
      const { handle: context, generate } = call.request;
      const { signal } = job.abort;
      return { reply: await ready.generate(context, generate, onToken, signal, call.group) };
    }
    case 'attend': {
      const { handle: context, attend } = call.request;
      return { reply: await ready.attend(context, attend, call.group) };
    }
    case 'forward':
      return { reply: await ready.forward(call.request.rows, call.request.cuts) };
    case 'close': {
      // A session must not be released while it runs.
      const others = [...jobs.values()].filter((other) => other !== job);
      for (const other of others) other.abort.abort();
      await Promise.all(others.map((other) => other.ended));
      await ready.close();
      return { reply: undefined };
    }
  }
}

async function prefill(
  ready: Engine,
  { id, group, request }: Extract<Call, { method: 'prefill' }>,
  job: Job,
): Promise<{ reply: PrefillReply; transfer: ArrayBuffer[] }> {
  const select = (drop: DropPoint, input: DropInput) => {
    const transfer = [input.variation, input.hidden].flatMap((data) =>
      data ? [data.buffer as ArrayBuffer] : [],
    );
    send({ kind: 'select', id, drop, input }, transfer);
    return new Promise<Selection>((resolve, reject) => {
      job.selected = (kept) => (kept ? resolve(kept) : reject(new Error('select() failed')));
    });
  };
  const { handle, caches, layerVisualTokens, keptCells } = await ready.prefill(
    request.rows,
    request.drops,
    {
      select,
      onProgress: (done, total) => send({ kind: 'progress', id, done, total }),
      signal: job.abort.signal,
    },
    group,
  );
  const layers = caches.map((cache) => cache.toContext());
  const transfer = layers.flatMap(({ keys, values }) => [...kvMemory(keys), ...kvMemory(values)]);
  return { reply: { handle, layers, layerVisualTokens, keptCells }, transfer };
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
