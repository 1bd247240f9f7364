/** Buttons, and links that look like them. */
import { html, useEffect, useRef, useState } from "../lib.js";
import { Icon } from "./icon.js";

/** kind: main, plain, quiet or danger. busy: shows that it is at work, and takes no press. */
export function Button({ kind = "plain", icon, busy = false, disabled = false, small = false, children, ...rest }) {
  return html`<button
    type="button"
    class=${`button ${kind}${small ? " small" : ""}`}
    disabled=${disabled || busy}
    aria-busy=${busy ? "true" : undefined}
    ...${rest}
  >
    ${busy ? html`<${Spinner} />` : icon && html`<${Icon} name=${icon} />`}${children}
  </button>`;
}

/** A button of an icon alone; label: its name, which a pointer sees as a tooltip. */
export function IconButton({ label, icon, kind = "quiet", size = 18, pressed, ...rest }) {
  return html`<button type="button" class=${`button ${kind} square`} aria-label=${label} title=${label} aria-pressed=${pressed} ...${rest}>
    <${Icon} name=${icon} size=${size} />
  </button>`;
}

export function Spinner() {
  return html`<span class="spinner" aria-hidden="true"></span>`;
}

const SAID = { copied: "Copied", failed: "Copy it by hand" };

/** Puts a text on the clipboard, and says whether it has. text: a string or a function that makes it. onCopied: is called
 * once it is there. */
export function CopyButton({ text, label = "Copy", small = true, kind = "quiet", onCopied }) {
  const [state, setState] = useState("");
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    const copied = await toClipboard(typeof text === "function" ? text() : text);
    setState(copied ? "copied" : "failed");
    if (copied) onCopied?.();
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setState(""), 2000);
  };
  return html`<${Button} kind=${kind} small=${small} icon=${state === "copied" ? "check" : "copy"} onClick=${copy}>
    <span aria-live="polite">${SAID[state] ?? label}</span>
  </${Button}>`;
}

/** Whether the text is on the clipboard now. Also on a page that came by plain HTTP from another machine, where browsers
 * offer no clipboard: there a text can be selected and copied, in the dialog that is open, since all else is inert. */
export async function toClipboard(text) {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // It is not allowed; the other way may be.
  }
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  ([...document.querySelectorAll("dialog[open]")].pop() ?? document.body).append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return copied;
}
