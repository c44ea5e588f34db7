import type { Command } from 'commander';
import { type CheckStatus, type DoctorReport, diagnose } from '../environment/doctor.js';

const MARKS: Record<CheckStatus, string> = { ok: '✓', warn: '!', missing: '✗' };

const EXAMPLES = `
Exit status: 0 when everything that the main job needs is there, else 1.

Examples:
  $ glyphpress doctor
  $ glyphpress doctor --json | jq '.checks[] | select(.status != "ok")'
`;

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show what glyphpress found on this machine, and how to mend the rest')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async ({ json }: { json?: boolean }) => {
      const report = await diagnose();
      process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : doctorTable(report));
      process.exitCode = report.ok ? 0 : 1;
    });
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
