import { type Command, Option } from 'commander';
import { packageFile, packageJson } from '../package-file.js';
import type { RunningService } from '../server/service.js';
import { WorkerChildren } from '../server/worker-children.js';
import { aborted } from '../service/changes.js';
import { interruptible, STOP_SIGNALS, type StopSignal } from './interrupt.js';
import { warnIfUntrained } from './model-options.js';
import { type NetworkFlags, networkOptionsOf, withNetworkOptions } from './network-options.js';
import { wholeNumber } from './options.js';
import {
  type DataFlags,
  dataFolderOf,
  modelArguments,
  modelsOf,
  ownRedis,
  type ServiceModelFlags,
  withDataOption,
  withServiceModelOptions,
} from './service-options.js';
import {
  type StoreFlags,
  storeArguments,
  storeOptionsOf,
  withStoreOptions,
} from './store-options.js';
import {
  quotaBytes,
  reserveBytes,
  type WorkFlags,
  withWorkOptions,
  workArguments,
} from './work-options.js';

interface Flags extends DataFlags, NetworkFlags, ServiceModelFlags, StoreFlags, WorkFlags {
  host: string;
  port: number;
  workers: number;
  requireKey?: boolean;
  maxDocumentMb: number;
  maxUnfinished: number;
  maxInFlightMb: number;
  quotaDocuments?: number;
  keepDays?: number;
  rate: number;
  webhookAllow: string[];
  contextMb: number;
  maxWaiting: number;
  logLevel: string;
  json?: boolean;
}

const BIN = packageFile('bin/glyphpress.js');

const ANSWER_GRACE_MS = 10_000;
/** A worker gives its work back to the queue first, then is killed. */
const WORKER_GRACE_MS = 20_000;
const DEFAULT_WAITING = 64;
const DEFAULT_IN_FLIGHT_MB = 1_024;
/** A client waits; below the time for which a document is locked. */
const STORE_PATIENCE_MS = 20_000;
const MB = 1024 ** 2;
const DAY_MS = 24 * 3_600_000;

export function registerServe(program: Command): void {
  const command = withServiceModelOptions(
    withDataOption(
      program
        .command('serve')
        .description('run the service: API, workers and a private Redis')
        .addOption(
          new Option('--host <address>', 'address to listen on')
            .default('127.0.0.1')
            .env('GLYPHPRESS_HOST'),
        )
        .addOption(
          new Option('--port <n>', 'port to listen on, 0 for a free one')
            .argParser(wholeNumber(0, 65_535))
            .default(8_747)
            .env('GLYPHPRESS_PORT'),
        )
        .option(
          '--workers <n>',
          'worker processes here; 0 for workers elsewhere',
          wholeNumber(0, 64),
          1,
        )
        .option('--require-key', 'ask for an API key on this machine too'),
    ),
  );
  withStoreOptions(withWorkOptions(withNetworkOptions(command)))
    .option('--max-document-mb <n>', 'largest document', wholeNumber(1, 256), 64)
    .option('--max-unfinished <n>', 'documents of a tenant at once', wholeNumber(1, 1e6), 1_000)
    .option(
      '--max-in-flight-mb <n>',
      'bytes of unfinished documents of a tenant',
      wholeNumber(1, 1e6),
      DEFAULT_IN_FLIGHT_MB,
    )
    .option('--quota-documents <n>', 'documents that a tenant may keep', wholeNumber(1, 1e9))
    .option('--keep-days <n>', 'delete documents after so long', wholeNumber(1, 3_650))
    .option(
      '--rate <n>',
      'requests a minute of each API key, 0 for any number',
      wholeNumber(0, 1_000_000),
      600,
    )
    .addOption(
      new Option(
        '--webhook-allow <hosts>',
        'hosts (or host:port) that webhooks may reach though they are private or without TLS',
      )
        .argParser(hostList)
        .default([], 'none')
        .env('GLYPHPRESS_WEBHOOK_ALLOW'),
    )
    .option('--context-mb <n>', 'memory for contexts', wholeNumber(16, 1e6), 1_024)
    .option(
      '--max-waiting <n>',
      'questions that may wait for a model; more are refused',
      wholeNumber(0, 100_000),
      DEFAULT_WAITING,
    )
    .addOption(
      new Option('--log-level <level>', 'what to log, as JSON lines on stderr')
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .env('GLYPHPRESS_LOG_LEVEL'),
    )
    .option('--json', 'print the address as JSON')
    .addHelpText(
      'after',
      `
Redis: REDIS_URL, else a private one (redis-server or valkey-server on PATH) in the data folder.
Off this machine (--host 0.0.0.0) and behind a proxy every request needs a key: glyphpress keys create.

Examples:
  $ glyphpress serve
  $ glyphpress serve --port 8080 --workers 2 --model ~/models/Glyph
  $ glyphpress serve --host 0.0.0.0 --tls-cert chain.pem --tls-key key.pem
  $ glyphpress serve --trust-proxy 127.0.0.1
  $ REDIS_URL=redis://db:6379 glyphpress serve --host 0.0.0.0 --workers 0
  $ REDIS_URL=redis://db:6379 glyphpress serve --store s3://documents/glyphpress`,
    )
    .action(async (flags: Flags) => {
      await interruptible((signal) => serve(flags, signal), stopSignals(flags));
    });
}

async function serve(flags: Flags, signal: AbortSignal): Promise<void> {
  const network = networkOptionsOf(flags);
  // Loaded late: the other commands need no HTTP.
  const { startService } = await import('../server/service.js');
  const store = {
    ...storeOptionsOf(flags, STORE_PATIENCE_MS),
    reserveBytes: reserveBytes(flags),
  };
  const models = await modelsOf(flags, flags.contextMb * MB);
  for (const name of models.names) warnIfUntrained(models.info(name));
  const redis = await ownRedis(flags);
  try {
    const dataFolder = dataFolderOf(flags);
    const service = await startService({
      redisUrl: redis.url,
      dataFolder,
      store,
      models,
      host: flags.host,
      port: flags.port,
      requireKey: flags.requireKey ?? false,
      ...network,
      limits: {
        documentBytes: flags.maxDocumentMb * MB,
        perTenant: flags.maxUnfinished,
        inFlightBytesPerTenant: flags.maxInFlightMb * MB,
        documentsPerTenant: flags.quotaDocuments ?? null,
        storedBytesPerTenant: quotaBytes(flags) ?? null,
        requestsPerMinute: flags.rate === 0 ? null : flags.rate,
        ...(flags.keepDays !== undefined && { keepMs: flags.keepDays * DAY_MS }),
      },
      engine: { maxBytes: flags.contextMb * MB, maxWaiting: flags.maxWaiting },
      webhooks: { policy: { allow: flags.webhookAllow } },
      logger: { level: flags.logLevel, stream: process.stderr },
      version: packageJson().version,
    });
    const workers = new WorkerChildren({
      entry: BIN,
      args: [
        'worker',
        '--background',
        ...['--data', dataFolder],
        ...storeArguments(flags),
        ...modelArguments(flags),
        ...(flags.threads === undefined ? [] : ['--threads', String(flags.threads)]),
        ...(flags.dtype === undefined ? [] : ['--dtype', flags.dtype]),
        ...(flags.kvDtype === undefined ? [] : ['--kv-dtype', flags.kvDtype]),
        ...workArguments(flags),
      ],
      env: { ...process.env, REDIS_URL: redis.url },
      count: flags.workers,
      onExit: (pid, code, by) => service.app.log.error({ pid, code, signal: by }, 'worker ended'),
    });
    const stopRenewing = renewTlsOnHangUp(service);
    try {
      const started = { url: service.url, workers: flags.workers, dataFolder };
      process.stdout.write(
        flags.json ? `${JSON.stringify(started)}\n` : `glyphpress serves ${service.url}\n`,
      );
      await Promise.race([aborted(signal), redis.lost]);
      if (!flags.json) process.stderr.write('stopping\n');
    } finally {
      stopRenewing();
      await Promise.all([service.close(ANSWER_GRACE_MS), workers.close(WORKER_GRACE_MS)]);
    }
  } finally {
    await redis.stop();
    await models.close();
  }
}

/** A certificate is renewed while the service runs, by whoever renews it. */
function renewTlsOnHangUp({ app, renewTls }: RunningService): () => void {
  const renew = () => {
    renewTls().then(
      (tls) => tls && app.log.info({ expiresAt: tls.expiresAt }, 'certificate renewed'),
      (error) => app.log.error({ error }, 'certificate not renewed, the one before stays'),
    );
  };
  process.on('SIGHUP', renew);
  return () => process.off('SIGHUP', renew);
}

/** With a certificate, SIGHUP means to read it again; else that the terminal is gone. */
function stopSignals({ tlsCert }: NetworkFlags): StopSignal[] {
  return tlsCert === undefined ? [...STOP_SIGNALS] : STOP_SIGNALS.filter((it) => it !== 'SIGHUP');
}

function hostList(text: string): string[] {
  return text
    .split(',')
    .map((host) => host.trim().toLowerCase())
    .filter((host) => host !== '');
}
