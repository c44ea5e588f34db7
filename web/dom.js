/** Elements, and numbers as people read them. */

export const $ = (selector) => document.querySelector(selector);

/**
 * @param properties of the element; `aria-…`, `data-…` and `role` become attributes, `on` listeners
 * @param children nodes and texts; what is empty is left out
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key === 'on')
      for (const [type, act] of Object.entries(value)) made.addEventListener(type, act);
    else if (/^(aria|data)-|^role$/.test(key)) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== '' && child !== false && child != null));
  return made;
}

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export const count = (number) => whole.format(number);

export const plural = (number, one, many = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : many}`;

/** A ratio as 3.2×. */
export const times = (ratio) => `${ratio.toFixed(ratio < 9.95 ? 1 : 0)}×`;

export const percent = (share) => `${Math.round(share * 100)} %`;

export function bytes(number) {
  let unit = 0;
  for (; number >= 999.5 && unit < UNITS.length - 1; unit += 1) number /= 1000;
  return `${number.toFixed(unit === 0 || number >= 99.5 ? 0 : 1)} ${UNITS[unit]}`;
}

export function seconds(ms) {
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

const STEPS = [
  ['minute', 60],
  ['hour', 3_600],
  ['day', 86_400],
];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** When something was, from now. */
export function ago(time, now = Date.now()) {
  const passed = Math.round((now - time) / 1000);
  if (passed < 60) return 'just now';
  if (passed > 7 * 86_400) return new Date(time).toISOString().slice(0, 10);
  const [unit, length] = STEPS.findLast(([, length]) => passed >= length);
  return relative.format(-Math.floor(passed / length), unit);
}

/** One line of it, with an end that says that there is more. */
export function clip(text, length) {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= length ? line : `${line.slice(0, length - 1).trimEnd()}…`;
}
