/** Form fields: each with a label, a hint, and what is wrong with it. `value` and `onValue` are of the field's own type. */
import { html, useId } from "../lib.js";

/** A label, its control, a hint and an error. children: a function that gets the attributes its control needs. */
export function Field({ label, hint, error, inline = false, children }) {
  const id = useId();
  const said = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  const attributes = { id, "aria-describedby": said || undefined, "aria-invalid": error ? "true" : undefined };
  return html`<div class=${`field${inline ? " inline" : ""}`}>
    <label for=${id}>${label}</label>
    ${children(attributes)}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

export function TextField({ label, hint, error, value, onValue, type = "text", ...rest }) {
  return html`<${Field} label=${label} hint=${hint} error=${error}>
    ${(own) => html`<input class="input" type=${type} value=${value} onInput=${(event) => onValue(event.currentTarget.value)} ...${own} ...${rest} />`}
  </${Field}>`;
}

/** rows: at least; it grows with its text. */
export function TextArea({ label, hint, error, value, onValue, rows = 3, mono = false, ...rest }) {
  return html`<${Field} label=${label} hint=${hint} error=${error}>
    ${(own) =>
      html`<textarea class=${`input grows${mono ? " mono" : ""}`} rows=${rows} value=${value} onInput=${(event) => onValue(event.currentTarget.value)} ...${own} ...${rest}></textarea>`}
  </${Field}>`;
}

/** A number, or null where nothing is said. */
export function NumberField({ label, hint, error, value, onValue, min, max, step = "any", ...rest }) {
  const read = (event) => onValue(event.currentTarget.value === "" ? null : event.currentTarget.valueAsNumber);
  return html`<${Field} label=${label} hint=${hint} error=${error}>
    ${(own) =>
      html`<input class="input" type="number" value=${value ?? ""} min=${min} max=${max} step=${step} onInput=${read} ...${own} ...${rest} />`}
  </${Field}>`;
}

/** A number by slider and by hand, or null, which leaves it to the server. standard: where the slider then stands. */
export function SliderField({ label, hint, value, onValue, min, max, step, standard }) {
  const read = (event) => onValue(event.currentTarget.value === "" ? null : event.currentTarget.valueAsNumber);
  return html`<${Field} label=${label} hint=${hint}>
    ${(own) => html`<div class="slider">
      <input type="range" min=${min} max=${max} step=${step} value=${value ?? standard ?? min} onInput=${read} aria-label=${`${label}, slider`} />
      <input class="input" type="number" min=${min} max=${max} step=${step} value=${value ?? ""} placeholder="auto" onInput=${read} ...${own} />
    </div>`}
  </${Field}>`;
}

/** options: [value, label] or values. */
export function SelectField({ label, hint, error, value, onValue, options, ...rest }) {
  return html`<${Field} label=${label} hint=${hint} error=${error}>
    ${(own) => html`<${Select} value=${value} onValue=${onValue} options=${options} ...${own} ...${rest} />`}
  </${Field}>`;
}

/** Without a label of its own: give it one by aria-label. */
export function Select({ value, onValue, options, ...rest }) {
  return html`<select class="input" value=${value} onChange=${(event) => onValue(event.currentTarget.value)} ...${rest}>
    ${options.map((option) => {
      const [one, shown] = Array.isArray(option) ? option : [option, option];
      return html`<option key=${one} value=${one} selected=${one === value}>${shown}</option>`;
    })}
  </select>`;
}

/** A switch: on or off at once. */
export function Switch({ label, hint, value, onValue, ...rest }) {
  const id = useId();
  return html`<div class="switch-field">
    <input type="checkbox" role="switch" class="switch" id=${id} checked=${value} onChange=${(event) => onValue(event.currentTarget.checked)} aria-describedby=${hint ? `${id}-hint` : undefined} ...${rest} />
    <label for=${id}>${label}</label>
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/** One of a few, all in sight. options: [value, label]. */
export function Choice({ label, value, onValue, options }) {
  const name = useId();
  return html`<fieldset class="choice">
    <legend class="visually-hidden">${label}</legend>
    ${options.map(
      ([one, shown]) => html`<label key=${one}>
        <input type="radio" class="visually-hidden" name=${name} checked=${one === value} onChange=${() => onValue(one)} /><span>${shown}</span>
      </label>`,
    )}
  </fieldset>`;
}

/** Several of several: options as [value, label], value: an array. */
export function Checks({ label, value, onValue, options }) {
  const turn = (one, on) =>
    onValue(options.map(([each]) => each).filter((each) => (each === one ? on : value.includes(each))));
  return html`<fieldset class="checks">
    <legend>${label}</legend>
    ${options.map(
      ([one, shown]) => html`<label key=${one}>
        <input type="checkbox" checked=${value.includes(one)} onChange=${(event) => turn(one, event.currentTarget.checked)} /> ${shown}
      </label>`,
    )}
  </fieldset>`;
}

/** A place for a file: by the picker, by drag and drop, by paste. accept: as of an input. onFiles: gets an array of File. */
export function FileDrop({ label, hint, accept, multiple = false, onFiles, children }) {
  const id = useId();
  const over = (event, on) => {
    event.preventDefault();
    event.currentTarget.classList.toggle("over", on);
  };
  const dropped = (event) => {
    over(event, false);
    const files = [...event.dataTransfer.files];
    if (files.length) onFiles(multiple ? files : files.slice(0, 1));
  };
  const picked = (event) => {
    onFiles([...event.currentTarget.files]);
    event.currentTarget.value = "";
  };
  return html`<div class="drop" onDragOver=${(event) => over(event, true)} onDragLeave=${(event) => over(event, false)} onDrop=${dropped}>
    <input class="visually-hidden" type="file" id=${id} accept=${accept} multiple=${multiple} onChange=${picked} />
    <label for=${id}><strong>${label}</strong>${hint && html`<span class="hint">${hint}</span>`}</label>
    ${children}
  </div>`;
}
