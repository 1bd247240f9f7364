/** What is going on, as tables: by route, by model, and the figures of the charts. */
import { Badge } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { number } from "../../format.js";
import { html } from "../../lib.js";
import { duration, rate } from "../times.js";
import { thinned } from "./frames.js";

const ROUTES = [
  { title: "Route", cell: (row) => html`<code>${row.id}</code>` },
  { title: "A second", number: true, cell: (row) => rate(row.rate) },
  { title: "Answered", number: true, cell: (row) => number(row.answered) },
  { title: "Refused (4xx)", number: true, cell: (row) => number(row.refused) },
  { title: "Failed (5xx)", number: true, cell: (row) => number(row.failed) },
  { title: "Median", number: true, cell: (row) => duration(row.median) },
  { title: "95th percentile", number: true, cell: (row) => duration(row.p95) },
];

const MODELS = [
  { title: "Model", cell: (row) => row.id },
  { title: "State", cell: (row) => html`<${Badge}>${row.state}</${Badge}>` },
  { title: "At work", number: true, cell: (row) => `${number(row.running)} of ${number(row.places)}` },
  { title: "Waiting", number: true, cell: (row) => number(row.waiting) },
  { title: "Tokens a second", number: true, cell: (row) => rate(row.generated) },
  { title: "First token, median", number: true, cell: (row) => duration(row.firstMedian) },
];

const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const FIGURES = [
  { title: "Time", cell: (frame) => clock(frame.at) },
  { title: "Answered a second", number: true, cell: (frame) => rate(frame.answered) },
  { title: "Refused", number: true, cell: (frame) => rate(frame.refused) },
  { title: "Failed", number: true, cell: (frame) => rate(frame.failed) },
  { title: "Tokens generated", number: true, cell: (frame) => rate(frame.generated) },
  { title: "Tokens read", number: true, cell: (frame) => rate(frame.prompt) },
  { title: "Answer, median", number: true, cell: (frame) => duration(frame.median) },
  { title: "Answer, 95th", number: true, cell: (frame) => duration(frame.p95) },
  { title: "First token, median", number: true, cell: (frame) => duration(frame.firstMedian) },
  { title: "First token, 95th", number: true, cell: (frame) => duration(frame.firstP95) },
  { title: "Queue, median", number: true, cell: (frame) => duration(frame.queueMedian) },
  { title: "Queue, 95th", number: true, cell: (frame) => duration(frame.queueP95) },
  { title: "At work", number: true, cell: (frame) => number(frame.running) },
  { title: "Waiting", number: true, cell: (frame) => number(frame.waiting) },
];

export function Routes({ rows }) {
  const none = html`<p class="hint">No request in that time.</p>`;
  return html`<${Table} label="Requests by route" columns=${ROUTES} rows=${rows} empty=${none} />`;
}

export function ModelRows({ rows }) {
  const none = html`<p class="hint">No model is served.</p>`;
  return html`<${Table} label="Models at work" columns=${MODELS} rows=${rows} empty=${none} />`;
}

const STEP = 30;

/** The figures of the charts, one line each half minute. */
export function Figures({ frames }) {
  return html`<details class="fold">
    <summary>The charts as figures</summary>
    <${Table} label="The charts as figures, the newest first" columns=${FIGURES} rows=${thinned(frames, STEP)} id=${(frame) => frame.at} />
  </details>`;
}
