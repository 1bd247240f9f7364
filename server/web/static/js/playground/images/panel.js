/** The settings beside the Images tab. */
import { NumberField, SelectField, SliderField, TextArea, TextField } from "../../components/field.js";
import { ModelChoice } from "../../components/model_choice.js";
import { html } from "../../lib.js";
import { named } from "../../models.js";
import { missing, model, set, settings, way } from "./drawing.js";

const NUMBERS = Array.from({ length: 10 }, (_, at) => String(at + 1));
const QUALITIES = ["auto", "low", "medium", "high", "ultra"];

export function Panel() {
  const now = settings.value;
  const own = named(model.value)?.image;
  const to = (name) => (value) => set(name, value);
  const streamed = way.value !== "vary";
  return html`
    <${ModelChoice} task="image" value=${now.model} onValue=${to("model")} />
    <${Size} own=${own} />
    <${SelectField} label="Pictures" value=${String(now.n)} onValue=${(value) => set("n", Number(value))} options=${NUMBERS} />
    <${SelectField} label="Quality" value=${now.quality} onValue=${to("quality")} options=${QUALITIES} hint="More quality takes more time and credits; auto decides by the prompt." />
    <${NumberField} label="Seed" min=${0} max=${Number.MAX_SAFE_INTEGER} step=${1} value=${now.seed} onValue=${to("seed")} placeholder="random" hint="The same seed and settings draw the same picture." />
    ${streamed && html`<${SliderField} label="Previews on the way" min=${0} max=${3} step=${1} standard=${2} value=${now.previews} onValue=${(value) => set("previews", value ?? 0)} hint=${now.quality === "ultra" ? "Ultra shows none while it draws its candidates." : undefined} />`}
    ${way.value !== "draw" && html`<${SliderField} label="Strength" min=${0.01} max=${1} step=${0.01} standard=${0.75} value=${now.strength} onValue=${to("strength")} hint="How much is drawn anew: 1 leaves nothing of what was there." />`}
    ${way.value === "edit" && html`<${SelectField} label="Closeness to the picture" value=${now.fidelity} onValue=${to("fidelity")} options=${[["low", "low"], ["high", "high, for small changes"]]} />`}
    <details class="fold">
      <summary>More settings</summary>
      <div class="stack">
        <${TextArea} label="Keep out of the picture" rows=${2} value=${now.negative} onValue=${to("negative")} />
        <${NumberField} label="Steps" min=${1} max=${200} step=${1} value=${now.steps} onValue=${to("steps")} placeholder=${own ? `by quality, up to ${own.steps}` : "by quality"} />
        <${NumberField} label="Guidance" min=${0} max=${30} step=${0.1} value=${now.guidance} onValue=${to("guidance")} placeholder=${own ? String(own.guidance) : "the model's own"} hint="How closely it keeps to the prompt." />
        ${streamed && html`<${SelectField} label="Background" value=${now.background} onValue=${to("background")} options=${["auto", "opaque", "transparent"]} />`}
        <${SelectField} label="File" value=${now.format} onValue=${to("format")} options=${["png", "jpeg", "webp"]} />
        ${now.format !== "png" && html`<${SliderField} label="File quality" min=${0} max=${100} step=${1} standard=${100} value=${now.compression} onValue=${to("compression")} />`}
      </div>
    </details>
  `;
}

/** Those that the model names, or any where it names none. */
function Size({ own }) {
  const { size } = settings.value;
  const value = (next) => set("size", next);
  if (own?.sizes.length) {
    const listed = ["auto", ...own.sizes];
    // One that another model gave stays visible, and the server says what is wrong with it.
    if (!listed.includes(size)) listed.push(size);
    const shown = listed.map((one) => [one, one === "auto" ? `auto (${own.size})` : one.replace("x", " × ")]);
    return html`<${SelectField} label="Size" value=${size} onValue=${value} options=${shown} error=${missing.value.size} />`;
  }
  const hint = own
    ? `auto, which is ${own.size}, or a width and a height such as 512x768.`
    : "auto, or a width and a height such as 512x768.";
  return html`<${TextField} label="Size" value=${size} onValue=${value} hint=${hint} error=${missing.value.size} spellcheck=${false} />`;
}
