/** The similarity matrix: a table of numbers, shaded by how alike two texts are. */

import { CopyButton } from "../../components/button.js";
import { Stat } from "../../components/states.js";
import { credits, number, seconds } from "../../format.js";
import { html } from "../../lib.js";
import { result, stale, vectorsJson } from "./comparing.js";
import { extremes, fixed, levelOf } from "./similarity.js";

export function Result() {
  const shown = result.value;
  return html`<div>
    <p class="visually-hidden" role="status">${spoken(shown)}</p>
    ${shown && html`<${Shown} shown=${shown} />`}
  </div>`;
}

function spoken(shown) {
  if (!shown) return "";
  const found = extremes(shown.rows);
  if (!found) return "The text's vector is there.";
  const [row, column, value] = found.most;
  return `${shown.texts.length} texts compared. Most alike are ${shown.numbers[row]} and ${shown.numbers[column]}, ${fixed(value, 2)}.`;
}

function Shown({ shown }) {
  const found = extremes(shown.rows);
  return html`<section class="stack" aria-label="Result">
    ${stale.value && html`<p class="hint">The texts have changed since they were compared.</p>`}
    ${found && html`<${Matrix} shown=${shown} />`}
    <div class="card stack">
      <dl class="stats">
        ${found && html`<${Pair} label="Most alike" pair=${found.most} numbers=${shown.numbers} />`}
        ${found && shown.rows.length > 2 && html`<${Pair} label="Least alike" pair=${found.least} numbers=${shown.numbers} />`}
        <${Stat} label="Dimensions" value=${number(shown.vectors[0].length)} />
        <${Stat} label="Tokens" value=${number(shown.tokens)} />
        <${Stat} label="Credits" value=${shown.credits === null ? "–" : credits(shown.credits)} hint=${shown.credits === null ? "not metered" : undefined} />
        <${Stat} label="Time" value=${seconds(shown.seconds)} />
      </dl>
      <div class="actions start">
        <${CopyButton} text=${vectorsJson} label="Copy the vectors as JSON" kind="plain" />
        <span class="hint">${shown.model}</span>
      </div>
    </div>
  </section>`;
}

function Pair({ label, pair: [row, column, value], numbers }) {
  return html`<${Stat} label=${label} value=${`${numbers[row]} and ${numbers[column]}`} hint=${fixed(value, 3)} />`;
}

function Matrix({ shown: { texts, numbers, rows } }) {
  return html`<div class="table-place" role="region" aria-label="Similarity matrix" tabindex="0">
    <table class="embed-matrix">
      <caption class="visually-hidden">The cosine similarity of each text with each; 1 is the same direction.</caption>
      <thead>
        <tr>
          <th scope="col">Text</th>
          ${numbers.map((place, at) => html`<th key=${place} scope="col" title=${texts[at]} class="number">${place}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row, at) => html`<tr key=${numbers[at]}>
            <th scope="row" title=${texts[at]}><span class="embed-place">${numbers[at]}</span> <span class="embed-text">${texts[at]}</span></th>
            ${row.map((value, column) => html`<td key=${numbers[column]} class=${`number embed-level-${levelOf(value)}`}>${fixed(value, 2)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
