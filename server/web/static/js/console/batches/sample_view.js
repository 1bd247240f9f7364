/** An example of a batch's input file, to be copied or downloaded. */
import { Button } from "../../components/button.js";
import { CodeBlock } from "../../components/code.js";
import { html } from "../../lib.js";
import { able } from "../../models.js";
import { download } from "../../playground/download.js";
import { ENDPOINTS, sampleOf } from "./sample.js";

/** endpoint: whose lines it has. */
export function Sample({ endpoint = ENDPOINTS[0].path }) {
  const { task } = ENDPOINTS.find(({ path }) => path === endpoint);
  const text = sampleOf(endpoint, able(task).find((model) => model.state !== "failed")?.id ?? "name-of-a-model");
  return html`<div class="batches-sample">
    <${CodeBlock} text=${text} label="Example of an input file" />
    <div class="actions start">
      <${Button} small icon="download" onClick=${() => download(`${text}\n`, "batch.jsonl", "application/jsonl")}>Download the example</${Button}>
    </div>
  </div>`;
}
