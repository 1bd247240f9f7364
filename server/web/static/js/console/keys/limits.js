/** The three limits that accounts and keys have. */
import { NumberField } from "../../components/field.js";
import { number } from "../../format.js";
import { html } from "../../lib.js";

export const LIMITS = [
  ["requests_per_minute", "Requests a minute"],
  ["tokens_per_minute", "Tokens a minute"],
  ["concurrent_requests", "Requests at once"],
];
const MOST = 2 ** 31 - 1;

export const NO_LIMITS = Object.fromEntries(LIMITS.map(([name]) => [name, null]));

export function LimitFields({ value, onValue, refused }) {
  return html`<div class="columns">
    ${LIMITS.map(
      ([name, label]) => html`<${NumberField}
        key=${name}
        label=${label}
        placeholder="No limit"
        min=${0}
        max=${MOST}
        step=${1}
        value=${value[name]}
        onValue=${(limit) => onValue({ ...value, [name]: limit })}
        aria-invalid=${refused?.param === `limits.${name}` || refused?.param === name ? "true" : undefined}
      />`,
    )}
  </div>`;
}

/** 60 requests a minute, 4 requests at once; "none" where there is none. */
export function limitsText(limits) {
  const set = LIMITS.filter(([name]) => limits[name] !== null);
  return set.map(([name, label]) => `${number(limits[name])} ${label.toLowerCase()}`).join(", ") || "none";
}

/** The limits that differ, for a change. */
export function changedLimits(before, after) {
  const changed = LIMITS.filter(([name]) => before[name] !== after[name]).map(([name]) => [name, after[name]]);
  return changed.length ? Object.fromEntries(changed) : null;
}
