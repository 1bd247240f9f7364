/** Numbers, amounts and times as people read them. Pure functions. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** 3.2 GiB */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return unit === 0 ? `${value} bytes` : `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** 12,345 or 0.0312: up to `digits` places behind the point. */
export function number(value, digits = 0) {
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
}

/** Credits, to the places that matter: 100, 0.25, 0.000031. */
export function credits(value) {
  const amount = Number(value);
  const small = amount !== 0 && Math.abs(amount) < 0.01;
  return new Intl.NumberFormat("en", small ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 2 }).format(
    amount,
  );
}

/** 0.42 s, 3.1 s, 2 min 5 s, 3 h 12 min */
export function seconds(value) {
  if (value < 9.95) return `${value.toFixed(value < 0.995 ? 2 : 1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** 2026-11-26 14:05, in the reader's time zone; a dash for nothing. */
export function moment(value) {
  if (value === null || value === undefined) return "–";
  const at = new Date(typeof value === "number" ? value * 1000 : value);
  const two = (part) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** "1 key", "2 keys" */
export function count(amount, one, many = `${one}s`) {
  return `${number(amount)} ${amount === 1 ? one : many}`;
}
