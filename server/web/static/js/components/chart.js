/** Charts by uPlot, in the colours of the theme. A table of the same figures stands beside or below each. */
import uPlot from "../../vendor/uplot/uplot.js";
import { html, useEffect, useRef } from "../lib.js";

function colour(name) {
  // A canvas takes no light-dark(): the browser computes it for an element.
  const probe = document.createElement("i");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const two = (part) => String(part).padStart(2, "0");

/** A moment on an axis of time, in the reader's time zone, as exactly as the step between two of them asks for. */
function tick(at, step) {
  const date = new Date(at * 1000);
  if (step >= 86_400) return `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const minute = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return step >= 60 ? minute : `${minute}:${two(date.getSeconds())}`;
}

/** Seconds that lines over time span at least. */
const LEAST_SPAN = 60;

/** From when to when lines over time go, in seconds since 1970. uPlot itself would show one point among years. */
function spanOf(times) {
  const end = times.at(-1) ?? Date.now() / 1000;
  return [Math.min(times[0] ?? end, end - LEAST_SPAN), end];
}

/**
 * x: numbers, seconds since 1970 where `time`; series: [{label, values, format?}], as many values as x, null where there is
 * none. bars: columns rather than lines. legend: whether the names stand below it.
 */
export function Chart({
  label,
  x,
  series,
  height = 220,
  time = true,
  bars = false,
  legend = true,
  format = (value) => String(value),
}) {
  const place = useRef(null);
  const names = series.map((one) => one.label).join("\n");
  const plot = useRef(null);
  const data = [x, ...series.map((one) => one.values)];
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const at = place.current;
    const make = () => {
      plot.current?.destroy();
      const text = colour("chart-text");
      const line = colour("chart-line");
      const axis = {
        stroke: text,
        grid: { stroke: line, width: 1 },
        ticks: { stroke: line, width: 1 },
        font: "12px system-ui",
      };
      plot.current = new uPlot(
        {
          width: at.clientWidth,
          height,
          scales: {
            x: time && !bars ? { time, range: (drawn) => spanOf(drawn.data[0]) } : { time },
            y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
          },
          axes: [
            time ? { ...axis, values: (_, ticks, __, ___, step) => ticks.map((at) => tick(at, step)) } : axis,
            { ...axis, size: 64, values: (_, ticks) => ticks.map(format) },
          ],
          legend: { show: legend, live: false },
          cursor: { y: false },
          series: [
            {},
            ...series.map((one, number) => ({
              label: one.label,
              stroke: colour(`series-text-${(number % 6) + 1}`),
              fill: bars ? colour(`series-text-${(number % 6) + 1}`) : undefined,
              width: 2,
              points: { show: false },
              paths: bars ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined,
            })),
          ],
        },
        latest.current,
        at,
      );
    };
    make();
    const size = new ResizeObserver(() => plot.current?.setSize({ width: at.clientWidth, height }));
    size.observe(at);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    const theme = new MutationObserver(make);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      size.disconnect();
      theme.disconnect();
      scheme.removeEventListener("change", make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names, height, time, bars]);
  useEffect(() => plot.current?.setData(data), [JSON.stringify(data)]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`;
}
