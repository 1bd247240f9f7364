/** What a transcription can be asked to do. */
import { SelectField, SliderField, Switch, TextArea } from "../../components/field.js";
import { ModelChoice } from "../../components/model_choice.js";
import { kept } from "../../kept.js";
import { html } from "../../lib.js";
import { QualityField } from "../quality.js";
import { languageOptions } from "./request.js";
import { error } from "./work.js";

export const TASK = "transcription";
export const settings = kept("transcription", {
  model: "",
  language: "",
  prompt: "",
  temperature: null,
  quality: "auto",
  translate: false,
});

const LANGUAGES = languageOptions();

export function Settings() {
  const values = settings.value;
  const set = (name) => (value) => {
    settings.value = { ...settings.value, [name]: value };
  };
  const wrong = (name) => (error.value?.param === name ? error.value.message : undefined);
  return html`
    <${ModelChoice} task=${TASK} value=${values.model} onValue=${set("model")} />
    <${SelectField} label="Language spoken" value=${values.language} onValue=${set("language")} options=${LANGUAGES} error=${wrong("language")} />
    <${Switch} label="Translate to English" value=${values.translate} onValue=${set("translate")} hint="Needs a model that knows other languages." />
    <${TextArea}
      label="Prompt"
      rows=${2}
      value=${values.prompt}
      onValue=${set("prompt")}
      error=${wrong("prompt")}
      hint="Names and words that occur, or the text before. It guides the spelling."
    />
    <${SliderField}
      label="Temperature"
      min=${0}
      max=${1}
      step=${0.1}
      value=${values.temperature}
      onValue=${set("temperature")}
      hint="Auto begins with the surest words, and raises it by itself where they make no sense."
    />
    <${QualityField} value=${values.quality} onValue=${set("quality")} error=${wrong("quality")} />
  `;
}
