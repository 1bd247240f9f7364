/**
 * Markdown of models and documents, which nobody trusts: parsed (markup.js), cleaned by DOMPurify, and then nothing of it may
 * load or run. Pictures become links; links open elsewhere, without saying where they were; HTML is shown as it is written.
 */
import DOMPurify from "../../vendor/dompurify/purify.js";
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
