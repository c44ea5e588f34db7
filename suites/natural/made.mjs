/**
 * Writes the two documents of the suite that a person would not write by hand: a log and a table.
 * The same bytes every time: node suites/natural/made.mjs [FOLDER]
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Numbers in [0, 1). Source: Numerical Recipes' linear congruential generator, 32 bits. */
function chances(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const two = (n) => String(n).padStart(2, '0');
const clock = (seconds) =>
  `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;

/** A day of the doors of a small laboratory. */
export function doorLog() {
  const chance = chances(20_250_616);
  const pick = (list) => list[Math.floor(chance() * list.length)];
  const doors = ['main', 'loading', 'lab-1', 'lab-2', 'roof'];
  const badges = ['04A71C', '0B3390', '11E5D2', '17F08B', '2C9A46', '3D0177', '48BB6E', '5A62C9'];
  const lines = [];
  const say = (at, level, door, text) =>
    lines.push([at, `2025-06-16 ${clock(at)} ${level} ${door.padEnd(7)} ${text}`]);

  say(
    1,
    'INFO',
    'system',
    'day begins; controller dc-17, firmware 5.2.8, 5 doors, 214 badges known',
  );
  for (let at = 6 * 3600 + 540; at < 20 * 3600; at += 120 + Math.floor(chance() * 660)) {
    const door = pick(doors.slice(0, 4));
    const badge = pick(badges);
    say(at, 'INFO', door, `badge ${badge} ok, opened`);
    say(at + 4 + Math.floor(chance() * 9), 'INFO', door, 'closed');
  }
  say(7 * 3600 + 127, 'WARN', 'lab-2', 'badge 6F19E0 refused: not valid before 08:00');
  say(8 * 3600 + 2, 'INFO', 'lab-2', 'badge 6F19E0 ok, opened');
  say(9 * 3600 + 1921, 'WARN', 'loading', 'open for 180 s, held by a delivery (note by R. Okoro)');
  say(11 * 3600 + 754, 'ERROR', 'roof', 'forced open, no badge');
  say(11 * 3600 + 761, 'INFO', 'system', 'call to guard, answered after 22 s by K. Brandvold');
  say(11 * 3600 + 1105, 'INFO', 'roof', 'closed; guard says: wind, latch worn, part ordered');
  say(13 * 3600 + 18, 'WARN', 'lab-1', 'battery of lock at 18 %, change before 30 June');
  say(14 * 3600 + 2400, 'INFO', 'system', 'fire drill begins, all doors free');
  say(14 * 3600 + 3123, 'INFO', 'system', 'fire drill ends, 67 people counted at point B');
  say(
    16 * 3600 + 911,
    'WARN',
    'main',
    'badge 2C9A46 refused: reported lost at 16:05 by its holder',
  );
  say(18 * 3600 + 333, 'INFO', 'main', 'visitor pass V-0932 returned');
  say(
    22 * 3600 + 1800,
    'INFO',
    'system',
    'all doors locked; 3 people inside: 0B3390, 17F08B, 5A62C9',
  );
  say(23 * 3600 + 3540, 'INFO', 'system', 'log signed, digest 7b04e9c1d25f8a36');
  return `${lines
    .sort(([a], [b]) => a - b)
    .map(([, line]) => line)
    .join('\n')}\n`;
}

/** Half a month at a weather station on a hill, every three hours. */
export function weatherTable() {
  const chance = chances(7_031);
  const rows = [
    'date,utc,temp_c,dew_c,humidity_pct,pressure_hpa,wind_ms,gust_ms,wind_from,rain_mm,remark',
  ];
  let pressure = 1009;
  const winds = ['S', 'SW', 'W', 'NW', 'N', 'NE'];
  const remarks = {
    '2024-11-03 06': 'first frost on the grass',
    '2024-11-05 15': 'mast swayed; observer K. Sandoval went up',
    '2024-11-08 09': 'rain gauge blocked by leaves until 12',
    '2024-11-11 21': 'power cut 21:10 to 21:52',
    '2024-11-14 12': 'thermometer T2 replaced, serial 88-4107',
  };
  for (let day = 1; day <= 16; day++) {
    for (let hour = 0; hour < 24; hour += 3) {
      const storm = day === 5 || day === 6;
      pressure += (chance() - 0.5) * 4 + (storm ? -2.4 : 0.35);
      const warmth = 5 - day * 0.25 + 4 * Math.sin(((hour - 9) / 24) * 2 * Math.PI);
      const temp = warmth + (chance() - 0.5) * 2;
      const humidity = Math.round(68 + chance() * 30);
      const wind = (storm ? 14 : 4) + chance() * 5;
      const date = `2024-11-${two(day)}`;
      rows.push(
        [
          date,
          `${two(hour)}:00`,
          temp.toFixed(1),
          (temp - (100 - humidity) / 5).toFixed(1),
          humidity,
          pressure.toFixed(1),
          wind.toFixed(1),
          (wind * (1.4 + chance() * 0.5)).toFixed(1),
          winds[Math.floor(chance() * winds.length)],
          storm || chance() > 0.8 ? (chance() * 6).toFixed(1) : '0.0',
          remarks[`${date} ${two(hour)}`] ?? '',
        ].join(','),
      );
    }
  }
  return `${rows.join('\n')}\n`;
}

export const MADE = { 'door-controller.log': doorLog, 'weather-station.csv': weatherTable };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? fileURLToPath(new URL('documents', import.meta.url));
  for (const [name, make] of Object.entries(MADE)) writeFileSync(path.join(folder, name), make());
}
