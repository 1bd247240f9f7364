/** The text, segment by segment, each word of which lights while it is said and leads to where it is said. */
import { html, useEffect, useMemo, useRef } from "../../lib.js";
import { pieces, position, saidAt } from "./timing.js";

/** Seconds that a word stays lit in the silence after it. */
const AFTERGLOW = 0.25;

/** segments: [{start, end, text, words}]; audio: a ref of the audio element. */
export function Transcript({ segments, audio, live }) {
  const place = useRef(null);
  const words = useMemo(() => segments.flatMap((segment) => segment.words ?? []), [segments]);
  const jump = (to) => {
    if (to === undefined || !audio.current) return;
    // A little behind the start, so that rounding does not light the word before.
    audio.current.currentTime = to.start + 0.001;
  };
  useLight(place, words, segments, audio);

  const press = (event) => {
    const element = audio.current;
    if (!element || event.altKey || event.ctrlKey || event.metaKey) return;
    const word = saidAt(words, element.currentTime);
    const segment = saidAt(segments, element.currentTime);
    const step = {
      ArrowRight: () => jump(words[word + 1]),
      ArrowLeft: () => jump(words[Math.max(0, word - 1)]),
      ArrowDown: () => jump(segments[segment + 1]),
      ArrowUp: () => jump(segments[Math.max(0, segment - 1)]),
      Home: () => jump(words[0]),
      End: () => jump(words.at(-1)),
      " ": () => (element.paused ? element.play() : element.pause()),
    }[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };
  const pick = (event) => {
    const chosen = event.target.closest("[data-word]");
    // Whoever marks text to copy it has not clicked a word.
    if (chosen && getSelection().isCollapsed) jump(words[Number(chosen.dataset.word)]);
  };

  let next = 0;
  return html`<div>
    <div
      class="hear-words"
      ref=${place}
      role="group"
      tabindex="0"
      aria-label="Transcript"
      aria-describedby=${live ? undefined : "hear-keys"}
      onKeyDown=${press}
      onClick=${pick}
    >
      ${segments.map(
        (segment, at) => html`<div class="hear-segment" key=${at} data-segment=${at}>
          <span class="hear-start">${position(segment.start)}</span>
          <p>${pieces(segment).map((piece) => (piece.word ? html`<span class="hear-word" data-word=${next++}>${piece.text}</span>` : piece.text))}</p>
        </div>`,
      )}
    </div>
    ${!live && html`<p class="hint" id="hear-keys">Click a word to go there. By keyboard: <kbd>←</kbd> <kbd>→</kbd> from word to word, <kbd>↑</kbd> <kbd>↓</kbd> from line to line, <kbd>Space</kbd> plays.</p>`}
  </div>`;
}

/** Marks the word and the segment that are said, in the document itself: a render each time would be too slow for an hour
 * of words. */
function useLight(place, words, segments, audio) {
  useEffect(() => {
    const element = audio.current;
    if (!element) return undefined;
    const spans = place.current.querySelectorAll("[data-word]");
    const rows = place.current.querySelectorAll("[data-segment]");
    let word = -1;
    let row = -1;
    let frame = 0;
    const mark = (elements, before, now) => {
      elements[before]?.classList.remove("lit");
      elements[now]?.classList.add("lit");
    };
    const light = () => {
      const time = element.currentTime;
      // Before it was ever played nothing is said.
      const heard = element.played.length > 0 || time > 0;
      const at = heard ? saidAt(words, time) : -1;
      const said = at >= 0 && time < words[at].end + AFTERGLOW ? at : -1;
      if (said !== word) mark(spans, word, said);
      word = said;
      const line = heard ? saidAt(segments, time) : -1;
      if (line !== row) {
        mark(rows, row, line);
        if (!element.paused) rows[line]?.scrollIntoView({ block: "nearest" });
      }
      row = line;
    };
    const run = () => {
      light();
      frame = element.paused ? 0 : requestAnimationFrame(run);
    };
    const play = () => {
      if (!frame) run();
    };
    const events = ["timeupdate", "seeking", "seeked", "pause", "ended"];
    for (const name of events) element.addEventListener(name, light);
    element.addEventListener("play", play);
    play();
    return () => {
      cancelAnimationFrame(frame);
      for (const name of events) element.removeEventListener(name, light);
      element.removeEventListener("play", play);
      mark(spans, word, -1);
      mark(rows, row, -1);
    };
  }, [words, segments]);
}
