/** What was used and what it cost: the sums, a chart by day, a table by whatever is asked for. */
import { ask, shown } from "../../amounts.js";
import { Answer, useAsked } from "../../asked.js";
import { Button } from "../../components/button.js";
import { Chart } from "../../components/chart.js";
import { SelectField, TextField } from "../../components/field.js";
import { Empty, Stat } from "../../components/states.js";
import { DownloadButton } from "../../download.js";
import { credits, number } from "../../format.js";
import { query } from "../../http.js";
import { html, useState } from "../../lib.js";
import { key as tabKey } from "../../session.js";
import { LongTable, Said } from "../rows.js";
import { boundsOf, RANGES } from "./ranges.js";
import { figureOf, MEASURES, nameOf, stacked } from "./stack.js";

const GROUPS = { model: "Model", account: "Account", key: "Key", task: "Task", day: "Day" };
/** What can be filtered by, so that a row of it can be looked into; and by what its parts are shown then. */
const INTO = { account: "model", model: "key", key: "model" };
/** Shown where any row has some. */
const EXTRAS = [
  ["cached_tokens", "Cached tokens", (value) => number(value)],
  ["reasoning_tokens", "Reasoning tokens", (value) => number(value)],
  ["audio_seconds", "Audio, s", (value) => number(value, 1)],
  ["characters", "Characters", (value) => number(value)],
  ["images", "Images", (value) => number(value)],
];

/** path: of the API; groups: what may be summed by; fixed: filters that always hold. */
export function UsageView({ path, groups, fixed = {} }) {
  const [range, setRange] = useState("30");
  const [own, setOwn] = useState({ since: "", until: "" });
  const [group, setGroup] = useState(groups[0]);
  const [measure, setMeasure] = useState("cost");
  const [filters, setFilters] = useState([]);
  const bounds = boundsOf(range, own);
  const given = { ...bounds, ...Object.fromEntries(filters.map((one) => [one.group, one.id])), ...fixed };
  const url = (by, more = {}) => path + query({ by, ...given, ...more });
  const asked = useAsked(
    async (signal) => {
      const daily = group === "day" ? "day" : `day,${group}`;
      const [total, rows, days] = await Promise.all(
        ["", group, daily].map(async (by) => (await ask("GET", url(by), { signal })).data),
      );
      return { total: total[0], rows, days, group, bounds };
    },
    [url(group), tabKey.value],
  );
  const look = (row) => {
    setFilters([...filters, { group, id: row[group], name: nameOf(row, group) }]);
    const left = groups.filter((one) => one !== group && !filters.some((filter) => filter.group === one));
    setGroup(left.includes(INTO[group]) ? INTO[group] : left[0]);
  };
  const drop = (filter) => setFilters(filters.filter((one) => one !== filter));
  const choices = groups.filter((one) => !filters.some((filter) => filter.group === one));
  return html`<div class="stack">
    <div class="row">
      <${SelectField} label="Days" value=${range} onValue=${setRange} options=${RANGES} />
      ${
        range === "own" &&
        html`<${TextField} label="From" type="date" value=${own.since} onValue=${(since) => setOwn({ ...own, since })} />
          <${TextField} label="Until" type="date" value=${own.until} onValue=${(until) => setOwn({ ...own, until })} />`
      }
      <${SelectField} label="Sum by" value=${group} onValue=${setGroup} options=${choices.map((one) => [one, GROUPS[one]])} />
      <${SelectField} label="Chart of" value=${measure} onValue=${setMeasure} options=${MEASURES} />
      <${DownloadButton} path=${url(group, { format: "csv" })} name=${`usage-by-${group}.csv`} />
    </div>
    ${
      filters.length > 0 &&
      html`<ul role="list" class="usage-filters" aria-label="Filters">
        ${filters.map(
          (one) => html`<li key=${one.group}>
            <${Button} small icon="close" aria-label=${`Remove the filter: ${GROUPS[one.group]} ${one.name}`} onClick=${() => drop(one)}>${GROUPS[one.group]}: <${Said}>${one.name}</${Said}></${Button}>
          </li>`,
        )}
      </ul>`
    }
    <${Answer} asked=${asked} label="Adding up the usage">
      ${(found) => html`<${Found} ...${found} measure=${measure} onInto=${INTO[found.group] ? look : null} />`}
    </${Answer}>
  </div>`;
}

function Found({ total, rows, days, group, bounds, measure, onInto }) {
  if (!total || total.requests === 0)
    return html`<${Empty} icon="info" title="Nothing was used on these days"><p>Choose other days, or send a request: the <a href="playground">playground</a> shows how.</p></${Empty}>`;
  const chart = stacked(days, group === "day" ? null : group, measure, bounds);
  const [, label] = MEASURES.find(([id]) => id === measure);
  return html`
    <dl class="stats card">
      <${Stat} label="Cost" value=${shown(total.cost)} hint="credits" />
      <${Stat} label="Requests" value=${number(total.requests)} />
      <${Stat} label="Prompt tokens" value=${number(total.prompt_tokens)} hint=${total.cached_tokens ? `${number(total.cached_tokens)} of them cached` : undefined} />
      <${Stat} label="Completion tokens" value=${number(total.completion_tokens)} />
      ${EXTRAS.slice(2).map(([name, title, write]) => total[name] > 0 && html`<${Stat} key=${name} label=${title} value=${write(total[name])} />`)}
    </dl>
    <div class="card stack">
      <h3>${label} by day${group === "day" ? "" : ` and ${GROUPS[group].toLowerCase()}`}</h3>
      <${Chart} label=${`${label} by day; the table below has the figures`} x=${chart.x} series=${chart.series} bars legend=${false} format=${measure === "cost" ? credits : (value) => number(value)} />
      ${group !== "day" && html`<ul role="list" class="legend">${chart.series.map(({ label: part }, at) => html`<li key=${at}><i class=${`series-${at + 1}`}></i><${Said}>${part}</${Said}></li>`)}</ul>`}
      <p class="hint">Days begin at midnight UTC.</p>
    </div>
    <${Rows} rows=${rows} group=${group} measure=${measure} onInto=${onInto} />
  `;
}

function Rows({ rows, group, measure, onInto }) {
  const sorted =
    group === "day"
      ? [...rows].reverse()
      : [...rows].sort((one, other) => figureOf(other, measure) - figureOf(one, measure));
  const name = (row) =>
    onInto
      ? html`<button type="button" class="usage-into" title="Look into it" onClick=${() => onInto(row)}><${Said}>${nameOf(row, group)}</${Said}></button>`
      : html`<${Said}>${nameOf(row, group)}</${Said}>`;
  const extras = EXTRAS.filter(([field]) => rows.some((row) => row[field] > 0));
  return html`<${LongTable}
    label=${`Usage by ${GROUPS[group].toLowerCase()}`}
    rows=${sorted}
    id=${(row) => row[group]}
    columns=${[
      { title: GROUPS[group], cell: name },
      { title: "Cost", number: true, cell: (row) => shown(row.cost) },
      { title: "Requests", number: true, cell: (row) => number(row.requests) },
      { title: "Prompt tokens", number: true, cell: (row) => number(row.prompt_tokens) },
      { title: "Completion tokens", number: true, cell: (row) => number(row.completion_tokens) },
      ...extras.map(([field, title, write]) => ({ title, number: true, cell: (row) => write(row[field]) })),
    ]}
  />`;
}
