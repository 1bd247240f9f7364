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

/** Puts a text on the clipboard, and says that it has. text: a string or a function that makes it. onCopied: is called
 * once it is there. */
export function CopyButton({ text, label = "Copy", small = true, kind = "quiet", onCopied }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await toClipboard(typeof text === "function" ? text() : text);
    setCopied(true);
    onCopied?.();
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 2000);
  };
  return html`<${Button} kind=${kind} small=${small} icon=${copied ? "check" : "copy"} onClick=${copy}>
    <span aria-live="polite">${copied ? "Copied" : label}</span>
  </${Button}>`;
}

/** Also on a page that came by plain HTTP from another machine, where browsers offer no clipboard. */
export async function toClipboard(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  // Beside an open dialog nothing can be selected.
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  place.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
