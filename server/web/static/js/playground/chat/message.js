/** A message of the chat, with what can be done to it. */
import { Button, CopyButton, IconButton } from "../../components/button.js";
import { CodeBlock } from "../../components/code.js";
import { fetchProse, Markdown } from "../../components/markdown.js";
import { Badge, ErrorNote } from "../../components/states.js";
import { count } from "../../format.js";
import { Fragment, html, useEffect, useRef, useState } from "../../lib.js";
import { Waiting as ModelWaiting } from "../waiting.js";
import { askAgain, edit, giveResults, isWriting, liveOf, stopOne, writeOn } from "./answering.js";
import { blocksOf } from "./blocks.js";
import { Calls, laidOut } from "./calls.js";
import { Facts, HowMade } from "./facts.js";
import { openCalls } from "./request.js";
import { Shaded } from "./shading.js";
import { chat, choose } from "./state.js";
import { place, upTo } from "./tree.js";

/** A message as a column shows it. last: whether nothing follows it. */
export function Message({ message, column, last }) {
  if (message.role === "assistant") return html`<${Answer} message=${message} column=${column} last=${last} />`;
  return html`<${Said} message=${message} column=${column} />`;
}

/** The arrows between branches; nothing where there is one. */
function Branches({ message, column }) {
  const { at, of, before, after } = place(chat.value.tree, message.id);
  if (of < 2) return null;
  return html`<span class="chat-branches" role="group" aria-label="Branches">
    <${IconButton} icon="left" label="Branch before" size=${16} disabled=${!before} onClick=${() => choose(before, column)} />
    <span>${at} / ${of}</span>
    <${IconButton} icon="right" label="Branch after" size=${16} disabled=${!after} onClick=${() => choose(after, column)} />
  </span>`;
}

/** What a reader or a tool has said. */
function Said({ message, column }) {
  const [editing, setEditing] = useState(false);
  const isTool = message.role === "tool";
  const busy = isWriting(chat.value.id);
  return html`<article class=${`chat-message ${isTool ? "chat-tool" : "chat-user"}`} aria-label=${isTool ? `Result of ${message.name ?? "a tool"}` : "You"}>
    ${
      editing
        ? html`<${Editor} message=${message} column=${column} onDone=${() => setEditing(false)} />`
        : html`<div class="chat-bubble">
          ${isTool && html`<p class="chat-call-name">Result of <code>${message.name ?? "a tool"}</code></p>`}
          ${message.images?.length ? html`<div class="chat-pictures">${message.images.map((url, at) => html`<img key=${at} src=${url} alt=${`Picture ${at + 1} of the message`} />`)}</div>` : null}
          ${message.content && (isTool ? html`<pre tabindex="0" aria-label="Result"><code>${laidOut(message.content)}</code></pre>` : html`<p class="chat-plain">${message.content}</p>`)}
        </div>`
    }
    <div class="chat-actions">
      <${Branches} message=${message} column=${column} />
      ${message.edited && html`<${Badge} kind="faint">edited</${Badge}>`}
      ${!editing && !busy && html`<${IconButton} icon="edit" label="Edit" size=${16} onClick=${() => setEditing(true)} />`}
      <${CopyButton} text=${message.content} />
    </div>
  </article>`;
}

function Answer({ message, column, last }) {
  const living = liveOf(message.id);
  return html`<article class="chat-message chat-answer" aria-label=${`Answer of ${message.model ?? "the model"}`} aria-busy=${living ? "true" : undefined}>
    ${living ? html`<${Growing} message=${message} shown=${living} />` : html`<${Finished} message=${message} column=${column} last=${last} />`}
  </article>`;
}

// ---------------------------------------------------------------- while it is written

function Growing({ message, shown }) {
  const { content, reasoning, calls, tokens, usage, phase, first, begun } = shown.value;
  const nothing = !content && !reasoning && !calls.length;
  useEffect(() => {
    fetchProse();
  }, []);
  return html`
    ${reasoning && html`<${Reasoning} text=${reasoning} open=${!content} />`}
    ${nothing && html`<${Waiting} model=${message.model} phase=${phase} />`}
    ${content && (tokens ? html`<p class="chat-plain">${content}</p>` : html`<${GrowingText} text=${content} />`)}
    ${calls.length ? html`<${Calls} calls=${calls} />` : null}
    <div class="chat-actions">
      ${chat.value.settings.compare && html`<${Button} small icon="stop" onClick=${() => stopOne(message.id)}>Stop this one</${Button}>`}
      <span class="chat-facts"><strong>${message.model}</strong>${usage && first ? html`<span>${count(usage.completion_tokens, "token")}</span><span>${rate(usage, begun, first)}</span>` : null}</span>
    </div>
  `;
}

function rate({ completion_tokens: tokens }, _, first) {
  const since = (performance.now() - first) / 1000;
  return tokens > 4 && since > 0.2 ? `${((tokens - 1) / since).toFixed(0)} tokens/s` : "";
}

/** What is done while there is nothing to read: the model loads, waits its turn, or works on an earlier pass. */
function Waiting({ model, phase }) {
  const [since, setSince] = useState(0);
  useEffect(() => {
    const begun = performance.now();
    const timer = setInterval(() => setSince(Math.round((performance.now() - begun) / 1000)), 1000);
    return () => clearInterval(timer);
  }, []);
  return html`<div class="chat-waiting">
    <span class="chat-dots" aria-hidden="true"><i></i><i></i><i></i></span>
    <span class="hint">${phase ? `Working: ${phase}` : "Waiting for the first word"}${since > 2 ? `, ${since} s so far` : ""}</span>
    <${ModelWaiting} model=${model} task="chat" />
  </div>`;
}

/** The pieces of a text that stand are parsed once: their elements are the same objects, which Preact leaves alone. */
function GrowingText({ text }) {
  const made = useRef([]);
  const blocks = blocksOf(text);
  made.current.length = Math.min(made.current.length, blocks.length);
  blocks.forEach((block, at) => {
    if (made.current[at]?.block !== block)
      made.current[at] = { block, element: html`<${Markdown} key=${at} text=${block} />` };
  });
  return html`<div class="chat-growing">${made.current.map((one) => one.element)}</div>`;
}

function Reasoning({ text, open }) {
  return html`<details class="fold chat-fold" open=${open}>
    <summary>Reasoning</summary>
    <p class="chat-plain chat-reasoning">${text}</p>
  </details>`;
}

// ---------------------------------------------------------------- when it is there

function Finished({ message, column, last }) {
  const [editing, setEditing] = useState(false);
  const [shaded, setShaded] = useState(true);
  const { content, reasoning, calls, tokens, error, unfinished, finish, stopped } = message;
  const busy = isWriting(chat.value.id);
  const path = upTo(chat.value.tree, message.id);
  const awaited = last && !busy && openCalls(path).length > 0;
  const mayGoOn = last && !busy && content && !calls?.length && (finish === "length" || stopped || unfinished);
  if (editing) return html`<${Editor} message=${message} column=${column} onDone=${() => setEditing(false)} />`;
  return html`
    ${reasoning && html`<${Reasoning} text=${reasoning} open=${false} />`}
    ${content && (tokens?.length && shaded ? html`<${Shaded} tokens=${tokens} />` : html`<${Content} message=${message} />`)}
    ${!content && !reasoning && !calls?.length && !error && html`<p class="hint">${stopped || unfinished ? "Stopped before the first word." : "The model answered with nothing."}</p>`}
    ${calls?.length ? html`<${Calls} calls=${calls} onResults=${awaited ? (results) => giveResults(message, results, column) : undefined} />` : null}
    ${unfinished && html`<p class="hint">The page was left while this was written; this much had come.</p>`}
    <${ErrorNote} error=${error} onRetry=${busy ? undefined : () => askAgain(message, column)} />
    <${Facts} message=${message} />
    <${HowMade} usage=${message.usage} reason=${message.reason} />
    <${PromptRead} prompt=${message.prompt} />
    <div class="chat-actions">
      <${Branches} message=${message} column=${column} />
      ${message.edited && html`<${Badge} kind="faint">edited</${Badge}>`}
      ${
        !busy &&
        html`<${Fragment}>
          <${IconButton} icon="again" label="Answer again" size=${16} onClick=${() => askAgain(message, column)} />
          <${IconButton} icon="edit" label="Edit" size=${16} onClick=${() => setEditing(true)} />
          ${mayGoOn && html`<${Button} kind="quiet" small onClick=${() => writeOn(message, column)}>Write on</${Button}>`}
        </${Fragment}>`
      }
      ${content && html`<${CopyButton} text=${content} />`}
      ${tokens?.length ? html`<${Button} kind="quiet" small aria-pressed=${shaded ? "true" : "false"} onClick=${() => setShaded(!shaded)}>Probabilities</${Button}>` : null}
    </div>
  `;
}

/** An answer that had to be JSON, laid out; others as Markdown. */
function Content({ message }) {
  if (message.json) return html`<${CodeBlock} text=${laidOut(message.content)} label="Answer as JSON" />`;
  return html`<${Markdown} text=${message.content} />`;
}

/** The prompt's own tokens, where the request asked for their log-probabilities. */
function PromptRead({ prompt }) {
  const read = prompt?.logprobs;
  if (!read?.length) return null;
  // Of each token, by ids, as vLLM has it: the prompt's own first.
  const tokens = read.map((entry) => {
    const [own, ...others] = Object.values(entry ?? {});
    const one = (found) => ({ token: found?.decoded_token ?? "", logprob: found?.logprob ?? 0 });
    return { ...one(own), top_logprobs: [own, ...others].filter(Boolean).map(one) };
  });
  return html`<details class="fold chat-fold"><summary>The prompt as it was read</summary><${Shaded} tokens=${tokens} /></details>`;
}

// ---------------------------------------------------------------- edited

function Editor({ message, column, onDone }) {
  const [text, setText] = useState(message.content);
  const place = useRef(null);
  useEffect(() => place.current.focus(), []);
  const isAnswer = message.role === "assistant";
  const save = (event) => {
    event.preventDefault();
    if (text !== message.content) edit(message, text, column);
    onDone();
  };
  const press = (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      onDone();
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(event);
  };
  return html`<form class="chat-editor" onSubmit=${save}>
    <textarea class="input grows" rows="3" aria-label="Text of the message" ref=${place} value=${text} onInput=${(event) => setText(event.currentTarget.value)} onKeyDown=${press}></textarea>
    <div class="actions">
      <span class="hint">${isAnswer ? "The edited answer becomes a branch." : "The edited message becomes a branch with a new answer."}</span>
      <${Button} small onClick=${onDone}>Cancel</${Button}>
      <${Button} small kind="main" type="submit">${isAnswer ? "Save" : "Save and send"}</${Button}>
    </div>
  </form>`;
}
