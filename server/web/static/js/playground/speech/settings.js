/** How a text shall be spoken. */
import { SelectField, SliderField } from "../../components/field.js";
import { ModelChoice, standing } from "../../components/model_choice.js";
import { ErrorNote, Loading } from "../../components/states.js";
import { kept } from "../../kept.js";
import { html } from "../../lib.js";
import { mayInfer } from "../../session.js";
import { QualityField } from "../quality.js";
import { FORMATS } from "./formats.js";
import { playsEarly } from "./players.js";
import { ask, optionsOf, standingVoice, voicesOf } from "./voices.js";
import { error } from "./work.js";

export const TASK = "speech";
export const settings = kept("speech", { model: "", voice: "", format: "mp3", speed: null, quality: "auto" });

/** The settings as they stand: with a model and a voice that are there. */
export function standingSettings() {
  const values = settings.value;
  const model = standing(TASK, values.model);
  const { voices } = mayInfer.value ? voicesOf(model) : { voices: null };
  return { model, values: { ...values, voice: standingVoice(voices, values.voice) } };
}

export function Settings() {
  const { model, values } = standingSettings();
  const set = (name) => (value) => {
    settings.value = { ...settings.value, [name]: value };
  };
  const wrong = (name) => (error.value?.param === name ? error.value.message : undefined);
  return html`
    <${ModelChoice} task=${TASK} value=${settings.value.model} onValue=${set("model")} />
    <${VoiceChoice} model=${model} value=${values.voice} onValue=${set("voice")} error=${wrong("voice")} />
    <${SliderField} label="Speed" min=${0.25} max=${4} step=${0.05} standard=${1} value=${values.speed} onValue=${set("speed")} hint="1 is the voice's own pace." />
    <${SelectField}
      label="Format"
      value=${values.format}
      onValue=${set("format")}
      options=${FORMATS}
      error=${wrong("response_format")}
      hint=${playsEarly(values.format) ? "It plays while it is being spoken." : "This browser plays this format only when all of it is there. Choose MP3 or WAV to hear it at once."}
    />
    <${QualityField} value=${values.quality} onValue=${set("quality")} error=${wrong("quality")} />
  `;
}

function VoiceChoice({ model, value, onValue, error: wrong }) {
  if (!model || !mayInfer.value) return null;
  const { voices, failure } = voicesOf(model);
  if (failure) return html`<${ErrorNote} error=${failure} onRetry=${() => ask(model)} />`;
  if (!voices) return html`<${Loading} label="Loading the voices" lines=${1} />`;
  const chosen = voices.find(({ id }) => id === value);
  const about = [chosen?.description, chosen?.language].filter(Boolean).join(" · ");
  return html`<${SelectField} label="Voice" value=${value} onValue=${onValue} options=${optionsOf(voices)} error=${wrong} hint=${about} />`;
}
