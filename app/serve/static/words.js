// Times and counts in words.  Whole numbers beyond 2**53 come as text and stay exact as BigInt.

const UNITS = [["d", 86400000000000n], ["h", 3600000000000n], ["min", 60000000000n], ["s", 1000000000n], ["ms", 1000000n], ["us", 1000n]];

// A task in one of these does what it can; in any other it waits for something a person may have to mend.
export const WELL = new Set(["running", "final", "clear"]);

export const count = (value) => (value === null || value === undefined ? "" : Number(value).toLocaleString("en"));

// UTC to the nanosecond; without the date where it is that of `today`.
export function clock(ns, today = null) {
  if (ns === null || ns === undefined) return "none yet";
  const whole = BigInt(ns);
  const fraction = ((whole % 1000000000n) + 1000000000n) % 1000000000n;
  const text = new Date(Number((whole - fraction) / 1000000n)).toISOString();
  const day = today === null ? "" : new Date(Number(BigInt(today) / 1000000n)).toISOString().slice(0, 10);
  const date = text.slice(0, 10) === day ? "" : `${text.slice(0, 10)} `;
  return `${date}${text.slice(11, 19)}.${String(fraction).padStart(9, "0")}`;
}

export function duration(ns) {
  if (ns === null || ns === undefined) return "";
  const whole = BigInt(ns);
  const size = whole < 0n ? -whole : whole;
  for (const [unit, length] of UNITS) {
    if (size >= length) {
      const digits = Number((whole * 1000n) / length) / 1000;
      return `${digits.toLocaleString("en", { maximumSignificantDigits: 4 })} ${unit}`;
    }
  }
  return `${whole} ns`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  for (const [unit, length] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (bytes >= length) return `${(bytes / length).toLocaleString("en", { maximumSignificantDigits: 4 })} ${unit}`;
  }
  return `${count(bytes)} bytes`;
}

// Seconds as a chart's axis takes them; enough for moments that people read.
export const seconds = (ns) => Number(BigInt(ns) / 1000n) / 1e6;
