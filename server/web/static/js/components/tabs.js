/** Tabs by the pattern of the ARIA Authoring Practices: one stop for the Tab key, arrows between them. */
import { html, useEffect, useId, useRef } from "../lib.js";

/** tabs: [id, label]; value: the chosen id. children: the chosen tab's panel. */
export function Tabs({ label, tabs, value, onValue, children, small = false }) {
  const base = useId();
  const list = useRef(null);
  const ids = tabs.map(([id]) => id);
  useEffect(() => {
    // A narrow page shows only some of them: the chosen one is among these.
    const at = list.current.querySelector(`[data-tab="${value}"]`);
    list.current.scrollLeft = at.offsetLeft - (list.current.clientWidth - at.offsetWidth) / 2;
  }, [value]);
  const move = (event) => {
    const at = ids.indexOf(value);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const to = ids[(next + ids.length) % ids.length];
    onValue(to);
    list.current.querySelector(`[data-tab="${to}"]`).focus();
  };
  return html`<div class=${`tabs${small ? " small" : ""}`}>
    <div class="tab-list" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>
      ${tabs.map(
        ([id, shown]) => html`<button
          key=${id}
          type="button"
          role="tab"
          data-tab=${id}
          id=${`${base}-${id}`}
          aria-selected=${id === value ? "true" : "false"}
          aria-controls=${`${base}-panel`}
          tabindex=${id === value ? 0 : -1}
          onClick=${() => onValue(id)}
        >
          ${shown}
        </button>`,
      )}
    </div>
    <div class="tab-panel" role="tabpanel" id=${`${base}-panel`} aria-labelledby=${`${base}-${value}`} tabindex="-1">${children}</div>
  </div>`;
}
