/** A list that is read from its newest end, a page at a time. */
import { Button } from "../components/button.js";
import { ErrorNote } from "../components/states.js";
import { html, useEffect, useRef, useState } from "../lib.js";

/**
 * @param {(last: any) => Promise<{rows: any[], more: boolean}>} page the rows behind `last`, null for the first page
 * @param {any[]} about what it depends on: a change begins anew
 * @returns what `Answer` of asked.js takes, and `more`, `older`, `reading`, `failed` for Older
 */
export function usePages(page, about) {
  const nothing = { data: null, error: null, busy: true, more: false, reading: false, failed: null };
  const [state, setState] = useState(nothing);
  const turn = useRef(0);
  const again = async () => {
    turn.current += 1;
    const own = turn.current;
    setState((before) => ({ ...before, busy: true, error: null }));
    try {
      const { rows, more } = await page(null);
      if (own === turn.current) setState({ ...nothing, data: rows, more, busy: false });
    } catch (error) {
      if (own === turn.current) setState({ ...nothing, error, busy: false });
    }
  };
  const older = async () => {
    const own = turn.current;
    setState((before) => ({ ...before, reading: true, failed: null }));
    try {
      const { rows, more } = await page(state.data.at(-1));
      if (own === turn.current)
        setState((before) => ({ ...before, data: [...before.data, ...rows], more, reading: false }));
    } catch (failed) {
      if (own === turn.current) setState((before) => ({ ...before, reading: false, failed }));
    }
  };
  useEffect(() => {
    again();
    return () => {
      turn.current += 1;
    };
  }, about);
  return { ...state, again, older };
}

/** The button for the next page, where there is one. */
export function Older({ pages }) {
  return html`<${ErrorNote} error=${pages.failed} />
    ${
      pages.more &&
      html`<div class="actions start">
        <${Button} small icon="down" busy=${pages.reading} onClick=${pages.older}>Show older</${Button}>
      </div>`
    }`;
}
