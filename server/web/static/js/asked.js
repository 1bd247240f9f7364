/** What a part of the page asks the server for, and how that stands: loading, there, failed, out of date. */
import { ErrorNote, Loading } from "./components/states.js";
import { html, useCallback, useEffect, useRef, useState } from "./lib.js";
import { expired, online } from "./session.js";

/**
 * Ask when the part appears, and anew whenever one of `about` changes; what comes late is dropped then.
 * @param {(signal: AbortSignal) => Promise<any>} question
 * @returns {{data: any, error: Error | null, busy: boolean, again: () => Promise<void>}} data: null before the first answer.
 * A failure leaves what was there, if that was the answer to the same question. Once a server that was away is back, it is
 * asked by itself.
 */
export function useAsked(question, about) {
  const [state, setState] = useState({ data: null, error: null, busy: true, of: null });
  const running = useRef(null);
  const again = useCallback(async () => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setState((before) => ({ ...before, busy: true }));
    try {
      const data = await question(own.signal);
      if (!own.signal.aborted) setState({ data, error: null, busy: false, of: again });
    } catch (error) {
      if (own.signal.aborted) return;
      setState((before) => ({ ...before, data: before.of === again ? before.data : null, error, busy: false }));
    }
  }, about);
  useEffect(() => {
    again();
    return () => running.current?.abort();
  }, [again]);
  // Whoever asks again some time later asks what is asked by then.
  const latest = useRef(again);
  latest.current = again;
  const current = useCallback(() => latest.current(), []);
  const back = online.value;
  useEffect(() => {
    if (back && state.error?.offline) again();
  }, [back]);
  return { data: state.data, error: state.error, busy: state.busy, again: current };
}

/** Whether the page is in sight. */
function useInSight() {
  const [inSight, setInSight] = useState(!document.hidden);
  useEffect(() => {
    const turned = () => setInSight(!document.hidden);
    document.addEventListener("visibilitychange", turned);
    return () => document.removeEventListener("visibilitychange", turned);
  }, []);
  return inSight;
}

/** Ask again `pause` milliseconds after each answer and each failure, for as long as `moving` is true of what there is and the
 * page is in sight; at once when it comes back into sight. */
export function useAgain({ data, busy, again }, moving, pause) {
  const inSight = useInSight();
  const stale = useRef(false);
  if (!inSight) stale.current = true;
  const wanted = data !== null && !busy && !expired.value && inSight && moving(data);
  useEffect(() => {
    if (!wanted) return undefined;
    const ask = () => {
      stale.current = false;
      again();
    };
    const timer = setTimeout(ask, stale.current ? 0 : pause);
    return () => clearTimeout(timer);
  }, [wanted]);
}

/** The answer of `asked`, by a function of it, or what stands in for it. */
export function Answer({ asked, label, lines = 4, children }) {
  const { data, error, busy, again } = asked;
  if (error && data === null) return html`<${ErrorNote} error=${error} onRetry=${again} />`;
  if (data === null) return html`<${Loading} label=${label} lines=${lines} />`;
  return html`<${ErrorNote} error=${error} onRetry=${again} />
    <div class="stack" aria-busy=${busy ? "true" : undefined}>${children(data)}</div>`;
}

/** Something that a press does: at work or not, and why it failed. */
export function useAct(act) {
  const [state, setState] = useState({ busy: false, error: null });
  const run = async (...given) => {
    setState({ busy: true, error: null });
    try {
      await act(...given);
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error });
    }
  };
  return { ...state, run };
}

/** Of a field, whether it is the one that the server refused. */
export function refusedField(error, name) {
  return error?.param === name ? { "aria-invalid": "true" } : {};
}
