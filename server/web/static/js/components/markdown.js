/**
 * Markdown as it is meant to be read. What parses and cleans it is a third of a page's weight and is fetched when a page has
 * something to read; until then, and where it does not come, the text stands as it was written.
 */
import { html, signal, useLayoutEffect, useMemo, useRef } from "../lib.js";
import { toClipboard } from "./button.js";

/** `cleaned` of prose.js; null before it is there. */
const cleaner = signal(null);
let coming = null;

/** Fetch what Markdown needs, ahead of the first text. The promise is always fulfilled. */
export function fetchProse() {
  coming ??= import("./prose.js").then(
    ({ cleaned }) => {
      cleaner.value = cleaned;
    },
    () => {
      coming = null;
    },
  );
  return coming;
}

/** onShown: gets the element, each time that its elements are new. */
export function Markdown({ text, onShown }) {
  const cleaned = cleaner.value;
  const shown = useMemo(() => cleaned?.(text), [cleaned, text]);
  const place = useRef(null);
  useLayoutEffect(() => {
    if (!cleaned) {
      fetchProse();
      return;
    }
    dress(place.current);
    onShown?.(place.current);
  }, [cleaned, shown]);
  if (!cleaned) return html`<div key="written" class="prose prose-written">${text}</div>`;
  return html`<div key="shown" class="prose" ref=${place} dangerouslySetInnerHTML=${{ __html: shown }}></div>`;
}

/** What scrolls sideways can be reached by keyboard, and code can be copied. */
function dress(place) {
  for (const table of place.querySelectorAll("table")) if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  for (const block of place.querySelectorAll("pre")) {
    block.tabIndex = 0;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "button small prose-copy";
    copy.textContent = "Copy";
    copy.setAttribute("aria-label", "Copy the code");
    copy.addEventListener("click", async () => {
      const copied = await toClipboard(block.querySelector("code")?.textContent ?? block.textContent);
      copy.textContent = copied ? "Copied" : "Copy it by hand";
      setTimeout(() => {
        copy.textContent = "Copy";
      }, 2000);
    });
    const frame = document.createElement("div");
    frame.className = "prose-code";
    block.replaceWith(frame);
    frame.append(copy, block);
  }
}
