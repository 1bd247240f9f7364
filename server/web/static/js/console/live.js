/** Live: requests, tokens, times and queues as they are now, measured by this page from /metrics. */
import { Button } from "../components/button.js";
import { SelectField, Switch } from "../components/field.js";
import { ErrorNote, Loading, Stat } from "../components/states.js";
import { number } from "../format.js";
import { kept } from "../kept.js";
import { html, useEffect } from "../lib.js";
import { Charts } from "./live/charts.js";
import { failure, frames, measure, paused, tables, WINDOW } from "./live/measuring.js";
import { Figures, ModelRows, Routes } from "./live/tables.js";
import { duration, rate } from "./times.js";

const choice = kept("console.live", { minutes: "5", all: false });
const SPANS = [
  ["1", "1 minute"],
  ["5", "5 minutes"],
  ["10", "10 minutes"],
];
const change = (what) => {
  choice.value = { ...choice.value, ...what };
};

export function Live() {
  useEffect(measure, []);
  const { minutes, all } = choice.value;
  const kind = all ? "all" : "work";
  const since = Date.now() / 1000 - 60 * Number(minutes);
  const shown = frames.value.filter(({ at }) => at >= since).map((frame) => frame[kind]);
  return html`<div class="stack ops">
    <div class="ops-bar">
      <${Button} icon=${paused.value ? "play" : "pause"} aria-pressed=${paused.value ? "true" : "false"} onClick=${() => {
        paused.value = !paused.value;
      }}>${paused.value ? "Go on" : "Pause"}</${Button}>
      <${SelectField} label="Show the last" options=${SPANS} value=${minutes} onValue=${(value) => change({ minutes: value })} />
      <${Switch} label="Count what pages and probes ask, too" value=${all} onValue=${(value) => change({ all: value })} />
    </div>
    ${paused.value && html`<p class="hint" role="status">Paused. What happens meanwhile is shown as a mean when you go on.</p>`}
    <${ErrorNote} error=${failure.value}>${frames.value.length > 0 && html`<p>It is asked again every two seconds; the last figures stay.</p>`}</${ErrorNote}>
    ${!shown.length || !tables.value ? !failure.value && html`<${Loading} label="Measuring" lines=${8} />` : html`<${Measured} shown=${shown} routes=${tables.value[kind]} />`}
  </div>`;
}

function Measured({ shown, routes }) {
  const last = shown.at(-1);
  return html`<dl class="stats">
      <${Stat} label="Requests a second" value=${rate(last.answered + last.refused + last.failed)} />
      <${Stat} label="Tokens a second" value=${rate(last.generated)} />
      <${Stat} label="First token, median" value=${duration(last.firstMedian)} />
      <${Stat} label="Answer, median" value=${duration(last.median)} />
      <${Stat} label="At work" value=${number(last.running)} />
      <${Stat} label="Waiting" value=${number(last.waiting)} />
    </dl>
    <${Charts} frames=${shown} />
    <section class="stack" aria-labelledby="by-route">
      <h2 id="by-route">Routes</h2>
      <p class="hint">Of the last ${WINDOW} seconds.</p>
      <${Routes} rows=${routes} />
    </section>
    <section class="stack" aria-labelledby="by-model">
      <h2 id="by-model">Models</h2>
      <${ModelRows} rows=${tables.value.models} />
    </section>
    <${Figures} frames=${shown} />`;
}
