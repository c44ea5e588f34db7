/**
 * llama.cpp through node-llama-cpp, for text-model.bench.ts: reads one request a line on stdin, answers one
 * line each. NODE_LLAMA_CPP is a folder in which node-llama-cpp is installed.
 *
 * llama-cpp.mjs FILE THREADS [KV]: KV is what keys and values are held in, F16 where it is not said.
 */
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [file, threads, kv = 'F16'] = process.argv.slice(2);
const require = createRequire(`${process.env.NODE_LLAMA_CPP}/package.json`);
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')).href);

const llama = await getLlama({
  gpu: false,
  build: 'never',
  logLevel: 'error',
  maxThreads: Number(threads),
});
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({
  contextSize: 8192,
  batchSize: 512,
  threads: Number(threads),
  experimentalKvCacheKeyType: kv,
  experimentalKvCacheValueType: kv,
});
const sequence = context.getSequence();

/** Milliseconds of the prompt up to the first token, then of all further tokens, also of all threads; and the tokens. */
async function answer({ ids, tokens }) {
  await sequence.clearHistory();
  const start = performance.now();
  const before = process.cpuUsage();
  const made = [];
  let prefillMs = 0;
  let atFirst = before;
  for await (const token of sequence.evaluate(ids, { temperature: 0 })) {
    if (made.length === 0) {
      prefillMs = performance.now() - start;
      atFirst = process.cpuUsage();
    }
    made.push(token);
    if (made.length === tokens) break;
  }
  const decodeMs = performance.now() - start - prefillMs;
  const decodeCpuMs = cpuMs(atFirst, process.cpuUsage());
  return { prefillMs, decodeMs, prefillCpuMs: cpuMs(before, atFirst), decodeCpuMs, tokens: made };
}

function cpuMs(from, to) {
  return (to.user - from.user + to.system - from.system) / 1000;
}

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
process.exit(0);
