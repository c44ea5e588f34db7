/** The worst places of a proof-reading, marked on their pages, for people to look at. */

import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GlyphpressError } from '../../errors.js';
import { makeFolder, unusableOutput } from '../../output-folder.js';
import type { Proof, ProofSpan } from './proofread.js';

const PROOF_FILE = 'proofread.json';
/** Pages are drawn for machines; people see twice the size better. */
const SCALE = 2;
const MARGIN_PX = 2;

const isPicture = (name: string) => /^page-\d{4,}\.proof\.png$/.test(name);
const pictureName = (page: number) => `page-${String(page).padStart(4, '0')}.proof.png`;

/**
 * Writes `proofread.json` and a picture of each page that holds one of the worst places.
 *
 * @returns the pictures' names
 * @throws {GlyphpressError} GP_OUTPUT_EXISTS for a folder that holds something else
 */
export async function writeProof(folder: string, { report, pages }: Proof): Promise<string[]> {
  await prepareProofFolder(folder);
  const names: string[] = [];
  for (const [page, png] of [...pages].sort(([a], [b]) => a - b)) {
    const spans = report.worst
      .map((span, n) => ({ span, number: n + 1 }))
      .filter(({ span }) => span.page === page);
    await writeFile(path.join(folder, pictureName(page)), await markPage(png, spans));
    names.push(pictureName(page));
  }
  await writeFile(path.join(folder, PROOF_FILE), `${JSON.stringify(report, null, 2)}\n`);
  return names;
}

/** To be called before the work starts, so that an output path that cannot be used fails early. */
export async function prepareProofFolder(folder: string): Promise<void> {
  await makeFolder(folder);
  const names = await readdir(folder).catch((cause) => {
    throw unusableOutput(folder, cause);
  });
  const foreign = names.filter((name) => name !== PROOF_FILE && !isPicture(name));
  if (foreign.length > 0) {
    throw new GlyphpressError('GP_OUTPUT_EXISTS', {
      message: `${folder} already contains other files: ${foreign.slice(0, 3).join(', ')}`,
      hint: 'Give another output folder, or an empty one.',
      details: { folder, foreign: foreign.slice(0, 20) },
    });
  }
  for (const name of names.filter(isPicture)) await rm(path.join(folder, name), { force: true });
}

async function markPage(
  png: Buffer,
  spans: readonly { span: ProofSpan; number: number }[],
): Promise<Buffer> {
  const { default: sharp } = await import('sharp');
  const page = sharp(png);
  const { width, height } = await page.metadata();
  const size = { width: width * SCALE, height: height * SCALE };
  const marks = spans.map(({ span: { rect }, number }) => {
    const x = Math.max(0, rect.x * SCALE - MARGIN_PX);
    const y = Math.max(0, rect.y * SCALE - MARGIN_PX);
    const [w, h] = [rect.width * SCALE + 2 * MARGIN_PX, rect.height * SCALE + 2 * MARGIN_PX];
    return `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="#d00" fill-opacity="0.14" stroke="#d00" stroke-width="2"/><circle cx="${x + w}" cy="${y}" r="9" fill="#d00"/><text x="${x + w}" y="${y + 4}" font-size="12" font-family="sans-serif" text-anchor="middle" fill="#fff">${number}</text>`;
  });
  const overlay = `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}">${marks.join('')}</svg>`;
  return page
    .resize({ ...size, kernel: 'nearest' })
    .toColourspace('srgb')
    .composite([{ input: Buffer.from(overlay) }])
    .png()
    .toBuffer();
}
