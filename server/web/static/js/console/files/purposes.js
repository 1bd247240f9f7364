/** What files are kept for. Pure functions. */

export const PURPOSES = [
  ["batch", "batch"],
  ["batch_output", "batch output"],
  ["user_data", "requests"],
  ["vision", "pictures"],
];

/** In words; one that this page does not know, as the server calls it. */
export const purposeWords = (purpose) => PURPOSES.find(([id]) => id === purpose)?.[1] ?? purpose.replaceAll("_", " ");

export const kindOf = (purpose) => ({ batch: "info", batch_output: "good" })[purpose] ?? "faint";

const KEPT = [
  ["", "Until it is deleted"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
];

/** Seconds that a new file may be kept, for a choice; "" for ever. No file of a batch is kept for longer than 30 days. */
export const keptOf = (purpose) => (purpose === "batch" ? KEPT.slice(1).reverse() : KEPT);

/** The fields of the form that sends a file. */
export function fieldsOf(purpose, kept) {
  return {
    purpose,
    ...(kept && { "expires_after[anchor]": "created_at", "expires_after[seconds]": kept }),
  };
}
