/** The settings of a chat: system prompt, what goes into the request, tools, the form of the answer. */
import { Button } from "../../components/button.js";
import { NumberField, SelectField, SliderField, Switch, TextArea, TextField } from "../../components/field.js";
import { Badge } from "../../components/states.js";
import { html } from "../../lib.js";
import { GROUPS, PARAMETERS, problemsOf } from "./parameters.js";
import { formProblem, SETTINGS, setIn, TOOL, toolProblems } from "./request.js";
import { chat, set, setParameter } from "./state.js";

export function Settings() {
  const { settings } = chat.value;
  const problems = problemsOf(settings.parameters);
  const fields = (group) =>
    PARAMETERS.filter((one) => one.group === group).map(
      (one) =>
        html`<${Parameter} key=${one.name} parameter=${one} value=${settings.parameters[one.name]} error=${problems[one.name]} />`,
    );
  const changed = Object.values(settings.parameters).some((one) => one !== null && one !== undefined && one !== "");
  return html`
    <${TextArea}
      label="System prompt"
      rows=${2}
      placeholder="You are a helpful assistant."
      value=${settings.system}
      onValue=${(system) => set({ system })}
    />
    ${fields("")}
    <${Fold} title="Tools" count=${settings.tools.length}><${Tools} settings=${settings} /></${Fold}>
    <${Fold} title="Form of the answer" count=${settings.form.kind === "text" ? 0 : 1}><${Form} form=${settings.form} /></${Fold}>
    ${GROUPS.map((group) => html`<${Fold} key=${group} title=${group} count=${setIn(group, settings.parameters)}>${fields(group)}</${Fold}>`)}
    <${Switch} label="Stream" hint="Show the answer while it is written." value=${settings.stream} onValue=${(stream) => set({ stream })} />
    ${changed && html`<div><${Button} small icon="again" onClick=${() => set({ parameters: {} })}>Reset the parameters</${Button}></div>`}
  `;
}

/** count: how many fields in it are set, which a closed fold would hide. */
function Fold({ title, count, children }) {
  return html`<details class="fold chat-fold">
    <summary>${title}${count ? html` <${Badge} kind="info">${count}<span class="visually-hidden"> set</span></${Badge}>` : null}</summary>
    <div class="stack">${children}</div>
  </details>`;
}

function Parameter({ parameter, value, error }) {
  const { name, kind, label, hint, options } = parameter;
  const given = { label, hint, error, onValue: (set) => setParameter(name, set), value };
  switch (kind) {
    case "slider":
      return html`<${SliderField} ...${given} min=${parameter.min} max=${parameter.max} step=${parameter.step} standard=${parameter.standard} />`;
    case "number":
      return html`<${NumberField} ...${given} min=${parameter.min} max=${parameter.max} step=${parameter.step} placeholder="auto" />`;
    case "switch":
      return html`<${Switch} ...${given} value=${value ?? parameter.standard} />`;
    case "choice":
      return html`<${SelectField} ...${given} value=${value ?? ""} options=${[["", "auto"], ...options.map((one) => [one, one])]} />`;
    case "lines":
    case "json":
      return html`<${TextArea} ...${given} value=${value ?? ""} rows=${2} mono spellcheck=${false} />`;
    default:
      return html`<${TextField} ...${given} value=${value ?? ""} spellcheck=${false} />`;
  }
}

// ---------------------------------------------------------------- tools

function Tools({ settings }) {
  const { tools, toolChoice, parallel } = settings;
  const change = (at, fields) => set({ tools: tools.map((tool, one) => (one === at ? { ...tool, ...fields } : tool)) });
  const take = (at) => set({ tools: tools.filter((_, one) => one !== at) });
  const create = () => set({ tools: [...tools, { ...TOOL, name: `tool_${tools.length + 1}` }] });
  const choices = [
    ["auto", "The model decides"],
    ["required", "It must call one"],
    ["none", "It may call none"],
    ...tools.filter((tool) => tool.name).map((tool) => [`function:${tool.name}`, `It must call ${tool.name}`]),
  ];
  return html`
    ${!tools.length && html`<p class="hint">A tool is a function that the model may call. It answers with the arguments, and you type in what the function gives.</p>`}
    ${tools.map(
      (tool, at) => html`<${Tool}
        key=${at}
        tool=${tool}
        problems=${toolProblems(
          tool,
          tools.filter((_, one) => one !== at).map((one) => one.name),
        )}
        onChange=${(fields) => change(at, fields)}
        onRemove=${() => take(at)}
      />`,
    )}
    <div><${Button} small icon="plus" onClick=${create}>Add a tool</${Button}></div>
    ${
      tools.length > 0 &&
      html`
      <${SelectField} label="When it calls" value=${toolChoice} options=${choices} onValue=${(chosen) => set({ toolChoice: chosen })} />
      <${Switch} label="Several calls in one answer" value=${parallel} onValue=${(on) => set({ parallel: on })} />
    `
    }
  `;
}

function Tool({ tool, problems, onChange, onRemove }) {
  return html`<fieldset class="chat-tool-editor">
    <legend>${tool.name || "Tool"}</legend>
    <${TextField} label="Name" value=${tool.name} error=${problems.name} spellcheck=${false} onValue=${(name) => onChange({ name })} />
    <${TextArea} label="What it does" rows=${1} value=${tool.description} onValue=${(description) => onChange({ description })} />
    <${TextArea} label="Parameters, as a JSON Schema" rows=${4} mono spellcheck=${false} value=${tool.parameters} error=${problems.parameters} onValue=${(parameters) => onChange({ parameters })} />
    <${Switch} label="Arguments must obey the schema" value=${tool.strict} onValue=${(strict) => onChange({ strict })} />
    <div><${Button} small kind="quiet" icon="trash" onClick=${onRemove}>Remove the tool</${Button}></div>
  </fieldset>`;
}

// ---------------------------------------------------------------- the form of the answer

const EXAMPLE = `{
  "type": "object",
  "properties": {
    "city": {"type": "string"},
    "people": {"type": "integer"}
  },
  "required": ["city", "people"],
  "additionalProperties": false
}`;

function Form({ form }) {
  const change = (fields) => set({ form: { ...SETTINGS.form, ...form, ...fields } });
  const kinds = [
    ["text", "Text"],
    ["json_object", "Any JSON object"],
    ["json_schema", "JSON by a schema"],
  ];
  const chosen = (kind) => change({ kind, schema: form.schema || (kind === "json_schema" ? EXAMPLE : "") });
  return html`
    <${SelectField} label="The answer is" value=${form.kind} options=${kinds} onValue=${chosen} />
    ${
      form.kind === "json_schema" &&
      html`
      <${TextField} label="Name of the schema" value=${form.name} spellcheck=${false} onValue=${(name) => change({ name })} />
      <${TextArea} label="JSON Schema" rows=${6} mono spellcheck=${false} value=${form.schema} error=${formProblem(form)} onValue=${(schema) => change({ schema })} />
      <${Switch} label="Strict" hint="As the OpenAI API has it; here every schema is obeyed." value=${form.strict} onValue=${(strict) => change({ strict })} />
    `
    }
  `;
}
