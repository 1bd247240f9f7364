/**
 * Markdown of models and documents, which nobody trusts: parsed by marked, cleaned by DOMPurify, and then nothing of it may
 * load or run. Pictures become links; links open elsewhere, without saying where they were; HTML is shown as it is written.
 */
import DOMPurify from "../../vendor/dompurify/purify.js";
import { Marked } from "../../vendor/marked/marked.js";

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);

const marked = new Marked({
  gfm: true,
  breaks: false,
  renderer: {
    // A picture would be fetched from wherever the text says.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    // What a model writes about HTML shall be read. A table has no other way to break a line, a formula to raise a letter.
    html: ({ text }) => (/^<(?:br ?\/?|\/?su[bp])>$/i.test(text.trim()) ? text : escaped(text)),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

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
  return purify.sanitize(marked.parse(text), ALLOWED);
}
