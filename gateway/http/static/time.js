// Times as text, always UTC, and places for the marks of a time axis. Milliseconds since the epoch throughout.

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE,
  5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY,
  30 * DAY, 90 * DAY, 365 * DAY, 3650 * DAY,
];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (value) => String(value).padStart(2, "0");

export function moment(ms) {
  if (ms === null) return "none yet";
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return String(ms);
  return date.toISOString().replace("T", " ").replace(/\.000Z$/, "Z");
}

/** Marks for [first, end]: {at, text}, at most `count`, on round times; the first of each day says the day. */
export function marks(first, end, count) {
  const step = STEPS.find((one) => (end - first) / one <= count) ?? STEPS.at(-1);
  const found = [];
  let day = null;
  for (let at = Math.ceil(first / step) * step; at <= end; at += step) {
    const date = new Date(at);
    const today = `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}`;
    let text = today;
    if (step >= 365 * DAY) text = String(date.getUTCFullYear());
    else if (step < DAY) {
      const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
      const seconds = step < MINUTE ? `:${two(date.getUTCSeconds())}` : "";
      const parts = step < SECOND ? `.${String(date.getUTCMilliseconds()).padStart(3, "0")}` : "";
      text = clock + seconds + parts;
      if (today !== day) text = `${today} ${text}`;
    } else if (day === null || !date.getUTCMonth()) text = `${today} ${date.getUTCFullYear()}`;
    day = today;
    found.push({ at, text });
  }
  return found;
}
