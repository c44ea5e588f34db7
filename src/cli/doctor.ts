import { type Command, Option } from 'commander';
import { cacheFolder } from '../cache-folder.js';
import {
  type CheckStatus,
  type DoctorCheck,
  type DoctorReport,
  diagnose,
} from '../environment/doctor.js';
import { GlyphpressError } from '../errors.js';
import { openStore } from '../service/open-store.js';
import { BOUNDED_KINDS, CACHE_KINDS, type CacheKind, listCache } from '../store/cache-entries.js';
import { bytesText } from './amounts.js';
import { cacheBound } from './cache-bound.js';
import { readSettings } from './settings-file.js';

const MARKS: Record<CheckStatus, string> = { ok: '✓', warn: '!', missing: '✗' };

const EXAMPLES = `
Exit status: 0 when everything that the main job needs is there, else 1.

Examples:
  $ glyphpress doctor
  $ glyphpress doctor --store s3://documents/glyphpress --store-endpoint http://minio:9000
  $ glyphpress doctor --json | jq '.checks[] | select(.status != "ok")'
`;

interface Flags {
  json?: boolean;
  store?: string;
  storeEndpoint?: string;
}

const STORE_PATIENCE_MS = 5_000;

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show what glyphpress found on this machine, and how to mend the rest')
    .option('--json', 'print the report as JSON')
    .addOption(
      new Option('--store <url>', 'also try an object store, s3://bucket/prefix').env(
        'GLYPHPRESS_STORE',
      ),
    )
    .addOption(
      new Option(
        '--store-endpoint <url>',
        'its address (default: AWS_ENDPOINT_URL, else Amazon S3)',
      ).env('GLYPHPRESS_STORE_ENDPOINT'),
    )
    .addHelpText('after', EXAMPLES)
    .action(async ({ json, store: url, storeEndpoint: endpoint }: Flags) => {
      const stores = url === undefined ? [] : [() => checkStore(url, endpoint)];
      const report = await diagnose({ more: [checkStored, checkSettings, ...stores] });
      process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : doctorTable(report));
      process.exitCode = report.ok ? 0 : 1;
    });
}

/** Every kind of request that the service makes. */
async function checkStore(url: string, endpoint: string | undefined): Promise<DoctorCheck> {
  const name = 'store';
  try {
    // The folder is for what comes in; nothing does.
    const store = await openStore(cacheFolder(), { url, endpoint, patienceMs: STORE_PATIENCE_MS });
    try {
      const [warning] = await store.check();
      if (warning === undefined)
        return { name, status: 'ok', detail: `${store.name} can be written and read` };
      const fix = 'use a store with conditional writes: Amazon S3, or a newer version of this one';
      return { name, status: 'warn', detail: warning, fix };
    } finally {
      store.close();
    }
  } catch (error) {
    return { name, ...problemOf(error) };
  }
}

/** What is stored for later questions, and how much of it there may be. */
async function checkStored(): Promise<DoctorCheck> {
  const name = 'stored';
  const entries = await listCache(cacheFolder());
  const kinds = Object.fromEntries(
    (Object.keys(CACHE_KINDS) as CacheKind[]).map((kind) => {
      const ofKind = entries.filter((entry) => entry.kind === kind);
      return [kind, { entries: ofKind.length, bytes: bytesOf(ofKind) }];
    }),
  );
  const shown = Object.entries(kinds)
    .filter(([, { entries }]) => entries > 0)
    .map(([kind, { entries, bytes }]) => `${entries} ${kind} ${bytesText(bytes)}`);
  try {
    const bound = cacheBound();
    const bounded = BOUNDED_KINDS.join(' and ');
    const detail = `${shown.join(', ') || 'nothing yet'}; ${bounded} may take ${bytesText(bound)} (glyphpress cache)`;
    return { name, status: 'ok', detail, facts: { kinds, bound } };
  } catch (error) {
    return { name, ...problemOf(error), facts: { kinds } };
  }
}

const bytesOf = (entries: readonly { bytes: number }[]) =>
  entries.reduce((sum, { bytes }) => sum + bytes, 0);

/** Which file says what. */
async function checkSettings(): Promise<DoctorCheck> {
  const name = 'settings';
  try {
    const settings = readSettings();
    const stated = Object.entries(settings);
    return {
      name,
      status: 'ok',
      detail:
        stated.map(([key, { value, file }]) => `${key} ${value} (${file})`).join(', ') ||
        'no glyphpress.config.json says anything',
      facts: settings,
    };
  } catch (error) {
    return { name, ...problemOf(error) };
  }
}

/** Every command that reads the file fails like this. */
function problemOf(error: unknown): Pick<DoctorCheck, 'status' | 'detail' | 'fix'> {
  if (!(error instanceof GlyphpressError)) throw error;
  return { status: 'missing', detail: error.message, fix: error.hint };
}

/** The report as aligned lines, each problem followed by its fixes. */
export function doctorTable({ version, platform, checks, ok }: DoctorReport): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = [`glyphpress ${version} on ${platform}`, ''];
  for (const { name, status, detail, fix } of checks) {
    lines.push(`${MARKS[status]} ${name.padEnd(width)}  ${detail}`);
    for (const line of fix?.split('\n') ?? []) lines.push(`  ${' '.repeat(width)}    → ${line}`);
  }
  const missing = checks.filter(({ status }) => status === 'missing').map(({ name }) => name);
  lines.push('', ok ? 'Ready.' : `Not ready: ${missing.join(', ')}.`);
  return `${lines.join('\n')}\n`;
}
