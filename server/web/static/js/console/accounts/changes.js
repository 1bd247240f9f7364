/** What the form of an account sends: all of a new one, and of a change only what differs. Pure functions. */
import { typed } from "../../amounts.js";
import { changedLimits } from "../keys/limits.js";

/** values: of the form; record: the account as it is, null for a new one. */
export function changesOf(values, record) {
  const email = values.email.trim();
  if (!record) {
    const { name, metered, weight, limits } = values;
    const credits = typed(values.credits);
    return { name, metered, weight, limits, ...(email && { email }), ...(credits !== null && { credits }) };
  }
  const changes = {};
  if (values.name !== record.name) changes.name = values.name;
  // An address is taken away by this word: what is null stays as it is.
  if (email !== (record.email ?? "")) changes.email = email || "none";
  if (values.metered !== record.metered) changes.metered = values.metered;
  if (values.weight !== record.weight) changes.weight = values.weight;
  const limits = changedLimits(record.limits, values.limits);
  if (limits) changes.limits = limits;
  return changes;
}
