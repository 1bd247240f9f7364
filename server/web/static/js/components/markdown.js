/**
 * Markdown of models and documents, which nobody trusts: parsed (markup.js), cleaned by DOMPurify, and then nothing of it may
 * load or run. Pictures become links; links open elsewhere, without saying where they were; HTML is shown as it is written.
 */
import DOMPurify from "../../vendor/dompurify/purify.js";
import { html, useLayoutEffect, useMemo, useRef } from "../lib.js";
import { toClipboard } from "./button.js";
import { marksOf } from "./markup.js";

const ALLOWED = {
  ALLOWED_TAGS: [
    ..."p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li a table thead tbody tr th td sup sub".split(
      " ",
    ),
  ],
  ALLOWED_ATTR: ["href", "align", "start", "title"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const purify = DOMPurify(globalThis.window);
purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
});

/** The text as HTML that is safe to show. */
export function cleaned(text) {
  return purify.sanitize(marksOf(text), ALLOWED);
}

export function Markdown({ text }) {
  const shown = useMemo(() => cleaned(text), [text]);
  const place = useRef(null);
  useLayoutEffect(() => dress(place.current), [shown]);
  return html`<div class="prose" ref=${place} dangerouslySetInnerHTML=${{ __html: shown }}></div>`;
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
