/** What the form of a key sends: all of a new key, and of a change only what differs. Pure functions. */
import { instantOf, isOf } from "./expiry.js";
import { changedLimits } from "./limits.js";

export const SCOPES = [
  ["inference", "use models"],
  ["usage", "see the account's usage"],
  ["admin", "administer everything"],
];
export const PRIORITIES = [
  ["background", "Background: after all others"],
  ["normal", "Normal"],
  ["high", "High: before all others"],
];

/** values: of the form; record: the key as it is, null for a new one. */
export function changesOf(values, record) {
  const expiresAt = instantOf(values.expiry);
  if (!record) {
    const { account, name, scopes, models, priority, limits } = values;
    return { account, name, scopes, models, priority, limits, expires_at: expiresAt };
  }
  const changes = {};
  if (values.name !== record.name) changes.name = values.name;
  if (!sameSet(values.scopes, record.scopes)) changes.scopes = values.scopes;
  // What is null in a change stays as it is, so these have words of their own.
  if (!sameSet(values.models, record.models)) changes.models = values.models ?? "all";
  if (!isOf(values.expiry, record.expires_at)) changes.expires_at = expiresAt ?? "never";
  if (values.priority !== record.priority) changes.priority = values.priority;
  const limits = changedLimits(record.limits, values.limits);
  if (limits) changes.limits = limits;
  return changes;
}

function sameSet(one, other) {
  if (one === null || other === null) return one === other;
  return one.length === other.length && one.every((each) => other.includes(each));
}
