/** An answer token by token: the less likely one was, the deeper its shade. Arrow keys go from token to token. */
import { html, useMemo, useRef, useState } from "../../lib.js";
import { shadeOf } from "./figures.js";

/** A token's text, with what can't be seen made visible. */
const visible = (token) => token.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "·") || "(nothing)";
const percent = (logprob) => {
  const share = Math.exp(logprob) * 100;
  return `${share >= 10 || share === 0 ? share.toFixed(1) : share.toPrecision(2)}%`;
};

/** tokens: as `logprobs.content` of the API. */
export function Shaded({ tokens }) {
  const [at, setAt] = useState(null);
  const place = useRef(null);
  const move = (event) => {
    const from = at ?? 0;
    const to = { ArrowRight: from + 1, ArrowLeft: from - 1, Home: 0, End: tokens.length - 1 }[event.key];
    if (to === undefined || !tokens[to]) return;
    event.preventDefault();
    setAt(to);
    place.current.children[to].focus();
  };
  const open = (event) => {
    const found = event.target.closest("[data-at]");
    if (found) setAt(Number(found.dataset.at));
  };
  const shown = useMemo(
    () =>
      tokens.map(
        ({ token, logprob }, number) => html`<button
          key=${number}
          type="button"
          class=${`chat-token chat-shade-${shadeOf(logprob)}`}
          data-at=${number}
          tabindex="-1"
          aria-label=${`${visible(token)}, ${percent(logprob)}`}
        >
          ${token}
        </button>`,
      ),
    [tokens, tokens.length],
  );
  const chosen = tokens[at];
  return html`<div class="chat-shaded">
    <div
      class="chat-tokens"
      role="group"
      aria-label="Tokens of the answer; arrow keys go through them"
      tabindex="0"
      ref=${place}
      onKeyDown=${move}
      onFocusIn=${open}
      onMouseOver=${open}
    >
      ${shown}
    </div>
    <ul role="list" class="chat-shades" aria-label="Shades">
      ${["90% or more", "60%", "30%", "10%", "less"].map((label, shade) => html`<li key=${label}><i class=${`chat-shade-${shade}`}></i>${label}</li>`)}
    </ul>
    <div class="chat-alternatives" aria-live="polite">
      ${chosen ? html`<${Alternatives} token=${chosen} />` : html`<p class="hint">Point at a token, or go to it with the arrow keys, to see what else might have come.</p>`}
    </div>
  </div>`;
}

function Alternatives({ token }) {
  const others = token.top_logprobs ?? [];
  const entries = others.some((one) => one.token === token.token) ? others : [token, ...others];
  return html`<ol role="list">
    ${entries.map(
      (one, number) => html`<li key=${number} class=${one.token === token.token ? "chat-drawn" : undefined}>
        <code>${visible(one.token)}</code>
        <meter min="0" max="1" value=${Math.exp(one.logprob)} aria-label=${`Probability of ${visible(one.token)}`}></meter>
        <span>${percent(one.logprob)}</span>
        <span class="hint">${one.logprob.toFixed(3)}</span>
      </li>`,
    )}
  </ol>`;
}
