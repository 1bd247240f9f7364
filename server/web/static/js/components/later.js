/** A part of a page whose files are fetched once it is shown, so that a page brings no more than what is seen of it. */
import { html, useEffect, useState } from "../lib.js";
import { Button } from "./button.js";
import { ErrorNote, Loading } from "./states.js";

const come = new Map();

/**
 * load: a function that returns the promise of a component; the same function each time. label: what is waited for. What
 * else is given goes to the component.
 */
export function Later({ load, label, ...given }) {
  const [, setTurn] = useState(0);
  const found = come.get(load);
  useEffect(() => {
    let left = false;
    if (come.has(load)) return undefined;
    load()
      .then(
        (View) => come.set(load, { View }),
        () => come.set(load, { failed: true }),
      )
      .then(() => left || setTurn((turn) => turn + 1));
    return () => {
      left = true;
    };
  }, [load]);
  if (!found) return html`<${Loading} label=${`Loading ${label}`} />`;
  if (found.View) return html`<${found.View} ...${given} />`;
  // Files of another version are not there any more, and a browser does not ask again for a module that did not come.
  const error = { message: `${label} could not be loaded. The server may have been updated, or can't be reached.` };
  return html`<${ErrorNote} error=${error}>
    <div class="actions start"><${Button} small icon="again" onClick=${() => location.reload()}>Load the page again</${Button}></div>
  </${ErrorNote}>`;
}
