/** The charts of what is going on. The same figures stand in the table below them. */
import { Chart } from "../../components/chart.js";
import { number } from "../../format.js";
import { html } from "../../lib.js";
import { duration } from "../times.js";

const CHARTS = [
  {
    title: "Requests a second",
    series: [
      ["answered", "answered"],
      ["refused", "refused (4xx)"],
      ["failed", "failed (5xx)"],
    ],
    format: (value) => number(value, 2),
  },
  {
    title: "Tokens a second",
    series: [
      ["generated", "generated"],
      ["prompt", "read"],
    ],
    format: (value) => number(value, 1),
  },
  {
    title: "Time to the whole answer",
    series: [
      ["median", "median"],
      ["p95", "95th percentile"],
    ],
    format: duration,
  },
  {
    title: "Time to the first token",
    series: [
      ["firstMedian", "median"],
      ["firstP95", "95th percentile"],
    ],
    format: duration,
  },
  {
    title: "Time in the queue",
    series: [
      ["queueMedian", "median"],
      ["queueP95", "95th percentile"],
    ],
    format: duration,
  },
  {
    title: "At work and waiting",
    series: [
      ["running", "at work"],
      ["waiting", "waiting"],
    ],
    format: (value) => number(value, 1),
  },
];

/** frames: as of frames.js, the oldest first. */
export function Charts({ frames }) {
  const x = frames.map(({ at }) => at);
  return html`<div class="ops-charts">
    ${CHARTS.map(
      ({ title, series, format }) => html`<section key=${title} class="card" aria-label=${title}>
        <h2>${title}</h2>
        <${Chart}
          label=${`${title}: ${series.map(([, name]) => name).join(", ")}. The figures are in the table below.`}
          height=${190}
          x=${x}
          series=${series.map(([field, label]) => ({ label, values: frames.map((frame) => frame[field]) }))}
          format=${format}
        />
      </section>`,
    )}
  </div>`;
}
