/** How much work a model puts into an answer: the quality modes, which every task has. */
import { SelectField } from "../components/field.js";
import { html } from "../lib.js";

const MODES = [
  ["auto", "Auto"],
  ["low", "Low: one pass, the cheapest"],
  ["medium", "Medium"],
  ["high", "High: several passes"],
  ["ultra", "Ultra: the most work"],
];

export function QualityField({ value, onValue, error }) {
  return html`<${SelectField}
    label="Quality"
    value=${value}
    onValue=${onValue}
    options=${MODES}
    error=${error}
    hint="More passes take longer and cost more. Auto lets the server decide."
  />`;
}
