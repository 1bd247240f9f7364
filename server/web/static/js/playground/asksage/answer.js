/** A question and its answer, with what it draws on. */
import { Button, CopyButton } from "../../components/button.js";
import { Icon } from "../../components/icon.js";
import { fetchProse, Markdown } from "../../components/markdown.js";
import { ErrorNote, Loading, Note } from "../../components/states.js";
import { count, number, seconds } from "../../format.js";
import { html, useEffect, useRef } from "../../lib.js";
import { again, suggest } from "./conversation.js";
import { marked, safeLink } from "./marks.js";
import { whereabouts } from "./passages.js";

/** onOpen: gets a citation to be shown in its document; onAsk: gets a question. */
export function Turn({ turn, busy, last, onOpen, onAsk }) {
  const { state, text, whole, error } = turn;
  useEffect(() => {
    fetchProse();
  }, []);
  return html`<article class="sage-turn" aria-label=${`Question: ${turn.question.slice(0, 80)}`}>
    <div class="sage-question"><p>${turn.question}</p></div>
    <div class="sage-answer stack">
      ${state === "asking" && !text && html`<${Loading} label="Waiting for the answer" />`}
      ${text && html`<${Answer} text=${text} citations=${whole?.citations ?? []} onOpen=${onOpen} />`}
      ${state === "stopped" && html`<p class="hint">You stopped this answer.</p>`}
      ${error && html`<${ErrorNote} error=${error} onRetry=${busy ? undefined : () => again(turn)} />`}
      ${state === "stopped" && !busy && html`<div class="actions start"><${Button} small icon="again" onClick=${() => again(turn)}>Ask again</${Button}></div>`}
      ${whole && html`<${Notes} whole=${whole} />`}
      ${whole?.citations.length > 0 && html`<${References} turn=${turn} onOpen=${onOpen} />`}
      ${state === "done" && html`<${Foot} turn=${turn} />`}
      ${state === "done" && last && html`<${Suggestions} turn=${turn} busy=${busy} onAsk=${onAsk} />`}
    </div>
  </article>`;
}

/** The answer's Markdown, in which the numbers of its references are buttons. */
function Answer({ text, citations, onOpen }) {
  const open = useRef(onOpen);
  open.current = onOpen;
  const mark = (place) => {
    if (citations.length) markReferences(place, citations, (citation) => open.current(citation));
  };
  // A new key with the citations: the text is the same, and has to be marked all the same.
  return html`<div><${Markdown} key=${citations.length} text=${text} onShown=${mark} /></div>`;
}

function markReferences(root, citations, onOpen) {
  const known = new Map(citations.map((citation) => [citation.number, citation]));
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode())
    if (!walker.currentNode.parentElement.closest("code, a, button")) texts.push(walker.currentNode);
  for (const node of texts) {
    const parts = marked(node.data, new Set(known.keys()));
    if (!parts.some((part) => typeof part === "number")) continue;
    node.replaceWith(...parts.map((part) => (typeof part === "number" ? markOf(known.get(part), onOpen) : part)));
  }
}

function markOf(citation, onOpen) {
  const mark = document.createElement(citation.document_id ? "button" : "a");
  mark.className = "sage-mark";
  mark.textContent = citation.number;
  if (citation.document_id) {
    mark.type = "button";
    mark.setAttribute("aria-label", `Reference ${citation.number}: ${citation.filename}`);
    mark.addEventListener("click", () => onOpen(citation));
    return mark;
  }
  const link = safeLink(citation.link);
  if (link) Object.assign(mark, { href: link, target: "_blank", rel: "noopener noreferrer nofollow" });
  mark.setAttribute("aria-label", `Reference ${citation.number}: ${citation.title}`);
  return mark;
}

function Notes({ whole }) {
  return html`
    ${(whole.embedding_down || whole.vectors_down) && html`<${Note} kind="warn">Search in the datasets does not work right now; this was answered without them.</${Note}>`}
    ${whole.live_unavailable && html`<${Note} kind="warn">Live search: ${whole.live_unavailable}</${Note}>`}
    ${
      whole.provenance?.datasets.length > 0 &&
      !whole.citations.length &&
      !whole.vectors_down &&
      html`<p class="hint">Nothing in ${count(whole.provenance.datasets.length, "dataset")} helped with this question.</p>`
    }
  `;
}

function References({ turn, onOpen }) {
  const { citations } = turn.whole;
  return html`<section class="sage-references" aria-label="References">
    <h3>${count(citations.length, "reference")}</h3>
    <ol role="list">
      ${citations.map((citation) => html`<li key=${citation.number}><${Reference} citation=${citation} onOpen=${onOpen} /></li>`)}
    </ol>
  </section>`;
}

function Reference({ citation, onOpen }) {
  const { number: place, text } = citation;
  if (citation.document_id) {
    return html`<button type="button" class="sage-reference" onClick=${() => onOpen(citation)}>
      <span class="sage-number">${place}</span>
      <span class="sage-source"><${Icon} name="file" size=${16} /><b>${citation.filename}</b> <span class="hint">${whereabouts(citation)}</span></span>
      <span class="sage-excerpt">${text}</span>
    </button>`;
  }
  const link = safeLink(citation.link);
  const shown = html`
    <span class="sage-number">${place}</span>
    <span class="sage-source"><${Icon} name="link" size=${16} /><b>${citation.title}</b> <span class="hint">${citation.link}</span></span>
    <span class="sage-excerpt">${text}</span>
  `;
  return link
    ? html`<a class="sage-reference" href=${link} target="_blank" rel="noopener noreferrer nofollow">${shown}</a>`
    : html`<div class="sage-reference">${shown}</div>`;
}

function Foot({ turn }) {
  const tokens = turn.whole.usage?.model_tokens;
  // What came in one burst has no speed to speak of.
  const writing = turn.seconds - (turn.first ?? turn.seconds);
  const speed = tokens && writing > 0.5 ? tokens.completion_tokens / writing : null;
  const facts = [
    turn.whole.provenance?.model,
    tokens && `${number(tokens.prompt_tokens)} tokens read, ${number(tokens.completion_tokens)} written`,
    turn.first !== null && `first word after ${seconds(turn.first)}`,
    `${seconds(turn.seconds)} in all`,
    speed && `${number(speed, 1)} tokens a second`,
  ];
  return html`<div class="sage-foot">
    <p class="hint">${facts.filter(Boolean).join(" · ")}</p>
    <${CopyButton} text=${turn.text} label="Copy answer" />
  </div>`;
}

function Suggestions({ turn, busy, onAsk }) {
  const { suggestions } = turn;
  if (suggestions?.error) return html`<${ErrorNote} error=${suggestions.error} onRetry=${() => suggest(turn)} />`;
  if (!Array.isArray(suggestions)) {
    return html`<div class="actions start">
      <${Button} small busy=${suggestions === "asking"} disabled=${busy} onClick=${() => suggest(turn)}>Suggest what to ask next</${Button}>
    </div>`;
  }
  if (!suggestions.length) return html`<p class="hint" role="status">The model had no suggestions.</p>`;
  return html`<div class="sage-suggestions" role="group" aria-label="What to ask next">
    ${suggestions.map((question) => html`<button key=${question} type="button" class="button" disabled=${busy} onClick=${() => onAsk(question)}>${question}</button>`)}
  </div>`;
}
