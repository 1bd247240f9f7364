/** Tables: rows of things, which scroll sideways within themselves where the page is narrow. */
import { html } from "../lib.js";

/**
 * columns: [{title, cell: row => content, number?: bool, wide?: bool}]; label: what the table is of; onRow: makes rows
 * pressable by a button in their first cell; empty: what stands where there is no row.
 */
export function Table({ label, columns, rows, id = (row) => row.id, empty, chosen }) {
  if (!rows.length && empty) return empty;
  return html`<div class="table-place" role="region" aria-label=${label} tabindex="0">
    <table>
      <thead>
        <tr>
          ${columns.map((one) => html`<th key=${one.title} scope="col" class=${one.number ? "number" : undefined}>${one.hidden ? html`<span class="visually-hidden">${one.title}</span>` : one.title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr key=${id(row)} class=${chosen !== undefined && id(row) === chosen ? "chosen" : undefined}>
            ${columns.map((one) => html`<td key=${one.title} class=${one.number ? "number" : one.wide ? "wide" : undefined}>${one.cell(row)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
