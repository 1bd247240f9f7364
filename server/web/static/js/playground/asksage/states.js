/** Where a document's ingestion stands, in words and as a bar. Pure functions. */
import { number } from "../../format.js";

const OPEN = ["queued", "reading", "embedding"];

/** Whether it goes on by itself. */
export const underWay = ({ state }) => OPEN.includes(state);

/** "Reading 3 of 10", "Ready", "Failed". */
export function stateWords({ state, done, total }) {
  const far = total ? ` ${number(done)} of ${number(total)}` : "";
  return {
    queued: "Waiting",
    reading: `Reading${far}`,
    embedding: `Indexing${far}`,
    ready: "Ready",
    failed: "Failed",
    cancelled: "Cancelled",
  }[state];
}

/** How a badge shows it. */
export const stateKind = ({ state }) =>
  ({ ready: "good", failed: "bad", cancelled: "faint", queued: "faint" })[state] ?? "info";
