import { type Command, InvalidArgumentError } from 'commander';
import { GlyphpressError } from '../errors.js';
import { type ApiKeys, SCOPES, type Scope } from '../server/api-keys.js';
import { wholeNumber } from './options.js';
import { type DataFlags, ownRedis, runningRedis, withDataOption } from './service-options.js';

const DAY_MS = 24 * 3_600_000;

export function registerKeys(program: Command): void {
  const keys = program.command('keys').description('API keys of the service');

  withDataOption(
    keys
      .command('create')
      .description('make a key; it is shown once')
      .requiredOption('--tenant <name>', 'whose documents it opens')
      .option('--scopes <list>', `of ${SCOPES.join(',')}`, scopes, ['submit', 'query'] as Scope[])
      .option('--name <text>', 'what it is for')
      .option('--days <n>', 'how long it is valid', wholeNumber(1, 36_500))
      .option(
        '--rate <n>',
        'requests a minute (default: what serve allows)',
        wholeNumber(1, 1_000_000),
      )
      .option('--json', 'print it as JSON'),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ glyphpress keys create --tenant acme
  $ glyphpress keys create --tenant acme --scopes query --name "support desk" --days 90`,
    )
    .action(
      (
        flags: DataFlags & {
          tenant: string;
          scopes: Scope[];
          name?: string;
          days?: number;
          rate?: number;
          json?: boolean;
        },
      ) =>
        withKeys(flags, async (keys) => {
          const { tenant, scopes, name, days, rate } = flags;
          const made = await keys.create({
            tenant,
            scopes,
            ...(name !== undefined && { name }),
            ...(rate !== undefined && { requestsPerMinute: rate }),
            ...(days !== undefined && { expiresAt: Date.now() + days * DAY_MS }),
          });
          process.stdout.write(flags.json ? `${JSON.stringify(made)}\n` : `${made.key}\n`);
        }),
    );

  withDataOption(
    keys
      .command('list')
      .description('show the keys, without their secrets')
      .option('--json', 'print them as JSON'),
  )
    .addHelpText('after', '\nExamples:\n  $ glyphpress keys list --json')
    .action((flags: DataFlags & { json?: boolean }) =>
      withKeys(flags, async (keys) => {
        const all = await keys.list();
        const rows = all.map(({ id, tenant, scopes, name, lastUsedAt }) =>
          [
            id,
            tenant.padEnd(12),
            scopes.join(',').padEnd(12),
            lastUsedAt === null ? 'never used' : `used ${new Date(lastUsedAt).toISOString()}`,
            name ?? '',
          ].join('  '),
        );
        process.stdout.write(flags.json ? `${JSON.stringify(all)}\n` : `${rows.join('\n')}\n`);
      }),
    );

  withDataOption(
    keys
      .command('revoke')
      .description('end a key at once')
      .argument('<id>', 'as list shows it')
      .option('--json', 'print what was revoked as JSON'),
  )
    .addHelpText('after', '\nExamples:\n  $ glyphpress keys revoke 0123456789abcdef')
    .action((id: string, flags: DataFlags & { json?: boolean }) =>
      withKeys(flags, async (keys) => {
        if (await keys.revoke(id)) {
          if (flags.json) process.stdout.write(`${JSON.stringify({ id, revoked: true })}\n`);
          return;
        }
        throw new GlyphpressError('GP_USAGE', {
          message: `There is no key ${id}`,
          hint: 'glyphpress keys list shows them.',
        });
      }),
    );
}

/** With the Redis of a running service, else with the private one for as long as it takes. */
async function withKeys(flags: DataFlags, work: (keys: ApiKeys) => Promise<void>): Promise<void> {
  const { connectRedis } = await import('../queue/connection.js');
  const { ApiKeys } = await import('../server/api-keys.js');
  const access = (await runningRedis(flags)) ?? (await ownRedis(flags));
  try {
    const redis = await connectRedis(access.url, 'request');
    try {
      await work(new ApiKeys(redis));
    } finally {
      redis.disconnect();
    }
  } finally {
    await access.stop();
  }
}

function scopes(text: string): Scope[] {
  const names = text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is Scope => (SCOPES as readonly string[]).includes(name));
  if (known.length === names.length) return [...new Set(known)];
  throw new InvalidArgumentError(`Expected a list of ${SCOPES.join(',')}.`);
}
