/** When a key ends: what the form's fields mean, as an instant, and the other way round. Pure functions. */

const DAY = 86_400_000;

/** value, and what the form shows. `at` needs a date and a time. */
export const CHOICES = [
  ["never", "Never"],
  ["30", "In 30 days"],
  ["90", "In 90 days"],
  ["365", "In a year"],
  ["at", "At a date and time"],
];

/** The form's fields for an instant of the server's, or null for never. In UTC where `zone` is "utc". */
export function fieldsOf(expiresAt, zone = "local") {
  return expiresAt === null ? { choice: "never", at: "", zone } : { choice: "at", at: written(expiresAt, zone), zone };
}

/** 2027-01-31T14:05, as a field of date and time has it. */
export function written(instant, zone) {
  const at = new Date(instant);
  // In the zone of whoever looks: the clock's own hours, printed as if they were UTC's.
  const moved = zone === "utc" ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return moved.toISOString().slice(0, 16);
}

/** The instant as ISO 8601 with its zone; null for never; undefined while the date is not whole. */
export function instantOf({ choice, at, zone }, now = Date.now()) {
  if (choice === "never") return null;
  if (choice !== "at") return new Date(now + Number(choice) * DAY).toISOString();
  const found = new Date(zone === "utc" ? `${at}Z` : at);
  return Number.isNaN(found.getTime()) ? undefined : found.toISOString();
}

/** Whether the form's fields are those of an instant of the server's: nobody has changed them. Texts are compared, since an
 * instant has seconds, and the hour that a clock is set back has its minutes twice. */
export function isOf(fields, expiresAt) {
  const own = fieldsOf(expiresAt, fields.zone);
  return fields.choice === own.choice && (own.choice === "never" || fields.at === own.at);
}

/** UTC+02:00, as it is at that instant for whoever looks. */
export function offsetOf(instant) {
  const minutes = -new Date(instant).getTimezoneOffset();
  const two = (part) => String(part).padStart(2, "0");
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}
