/** What the sections' tables share: text that somebody else wrote, many rows, and pages of rows. */
import { Button } from "../components/button.js";
import { Table } from "../components/table.js";
import { number } from "../format.js";
import { html, useState } from "../lib.js";

/** A name or note by whoever: as text, in a direction of its own, so that its marks turn nothing round beside it. */
export function Said({ children }) {
  return html`<bdi class="said">${children}</bdi>`;
}

/** A table that shows `step` rows at first, and more by a button: hundreds of rows cost nothing before. */
export function LongTable({ rows, step = 100, ...rest }) {
  const [most, setMost] = useState(step);
  const left = rows.length - most;
  return html`<div class="stack">
    <${Table} rows=${rows.slice(0, most)} ...${rest} />
    ${
      left > 0 &&
      html`<div class="actions start">
        <${Button} small icon="down" onClick=${() => setMost(most + step)}>Show ${number(Math.min(step, left))} more</${Button}>
        <span class="hint">${number(most)} of ${number(rows.length)} are shown</span>
      </div>`
    }
  </div>`;
}

/** Whether any of the texts holds all words of the search, in whatever case. */
export function matches(search, texts) {
  const all = texts.join("\n").toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
