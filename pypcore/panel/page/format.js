// Numbers and times as people say them.

/** 1234567 -> "1 234 567", with thin spaces. */
export function count(value) {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
}

/** Three digits, or more where the number is whole. */
export function number(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return count(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
  return size >= 1000 ? count(Math.round(value)) : String(Number(value.toPrecision(3)));
}

export function percent(part, whole) {
  if (!whole) return "0 %";
  const share = (100 * part) / whole;
  if (part < whole && share > 99.9) return "99.9 %";
  return share >= 10 || share === 0 ? `${Math.floor(share * 10) / 10} %` : `${share.toPrecision(2)} %`;
}

/** Seconds -> "42 s", "3 min 20 s", "2 h 05 min", "3 d 04 h". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor((whole % 86400) / 3600))} h`;
}

export function bytes(value) {
  let size = value;
  for (const unit of ["bytes", "kB", "MB", "GB"]) {
    if (size < 1000) return unit === "bytes" ? `${size} bytes` : `${number(size)} ${unit}`;
    size /= 1000;
  }
  return `${number(size)} TB`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** Seconds since 1970 -> "14:05", or "3 Nov 14:05" where that is not today. */
export function moment(seconds) {
  if (!seconds) return "";
  const when = new Date(seconds * 1000);
  const today = when.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(when) : `${DAY.format(when)} ${CLOCK.format(when)}`;
}

export const clock = (seconds) => CLOCK.format(new Date(seconds * 1000));
export const day = (seconds) => DAY.format(new Date(seconds * 1000));
