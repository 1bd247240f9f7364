/** While a request waits for its model: where the model stands, looked up anew as long as it is shown. */
import { ModelState } from "../components/model_choice.js";
import { html, useEffect } from "../lib.js";
import { refresh } from "../models.js";

const EVERY = 1500;

/** model, task: as of ModelState, which says nothing of a model that is ready. */
export function Waiting({ model, task }) {
  useEffect(() => {
    const timer = setInterval(refresh, EVERY);
    return () => clearInterval(timer);
  }, []);
  return html`<${ModelState} id=${model} task=${task} />`;
}
