import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { LineLog, recoverLines } from '../../src/store/line-log.js';
import { temporaryFolder } from '../support/folders.js';

const parse = (line: string): unknown => JSON.parse(line);

describe('a log of lines', () => {
  it('cut at any byte gives its whole lines, and is added to behind them', () => {
    const file = path.join(temporaryFolder(), 'log.jsonl');
    const entries = [{ a: 'né 漢字\n' }, [1, 2], 'end'];
    const log = new LineLog(file);
    for (const entry of entries) log.add(entry);
    log.close();
    const bytes = readFileSync(file);
    for (let size = 0; size <= bytes.length; size++) {
      writeFileSync(file, bytes.subarray(0, size));
      const whole = recoverLines(file, parse);
      expect(whole).toEqual(entries.slice(0, whole.length));
      expect(whole.length).toBe(bytes.subarray(0, size).toString('latin1').split('\n').length - 1);
      const again = new LineLog(file);
      again.add('more');
      again.close();
      expect(recoverLines(file, parse)).toEqual([...whole, 'more']);
    }
  });

  it('that is not there is empty, and is not made by looking', () => {
    const file = path.join(temporaryFolder(), 'log.jsonl');
    expect(recoverLines(file, parse)).toEqual([]);
    expect(existsSync(file)).toBe(false);
  });

  it('with a line that cannot be read stays as it is; the line has a number', () => {
    const file = path.join(temporaryFolder(), 'log.jsonl');
    const text = '1\n2\noops\n{"half';
    writeFileSync(file, text);
    const seen: number[] = [];
    const strict = (line: string, number: number) => {
      seen.push(number);
      return parse(line);
    };
    expect(() => recoverLines(file, strict)).toThrow(SyntaxError);
    expect(seen).toEqual([1, 2, 3]);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});
