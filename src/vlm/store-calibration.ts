/** Writes a calibration into a model folder; everything else in its config.json stays. */

import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unusableOutput } from '../output-folder.js';
import {
  CALIBRATION_KEYS,
  type Calibration,
  type Calibrations,
  calibrationJson,
} from './calibration.js';

/**
 * @param dir a folder that was opened before, so its config.json is known to be sound
 * @param read what the answers were read from
 */
export function storeCalibration(
  dir: string,
  calibration: Calibration,
  read: keyof Calibrations,
): void {
  const file = join(dir, 'config.json');
  const text = readFileSync(file, 'utf8');
  const config = JSON.parse(text) as { glyphpress?: Record<string, unknown> };
  config.glyphpress = {
    ...config.glyphpress,
    [CALIBRATION_KEYS[read]]: calibrationJson(calibration),
  };
  const indent = /^\{\r?\n([ \t]+)/.exec(text)?.[1] ?? '';
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(config, null, indent)}\n`, { flag: 'wx' });
    renameSync(temporary, file);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw unusableOutput(file, cause, 'Calibrate a copy of the model in a folder of your own.');
  }
}
