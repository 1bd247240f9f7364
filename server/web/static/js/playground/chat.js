/** Chat: a conversation with a model, or with two side by side. */
import { Button, IconButton } from "../components/button.js";
import { SelectField, Switch } from "../components/field.js";
import { Icon } from "../components/icon.js";
import { fetchProse } from "../components/markdown.js";
import { ModelChoice } from "../components/model_choice.js";
import { Workbench } from "../components/workbench.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../lib.js";
import { asking, expired, key, mayInfer, me } from "../session.js";
import { isWriting, said, say, settled } from "./chat/answering.js";
import { Composer, pictures } from "./chat/composer.js";
import { ChatList } from "./chat/list.js";
import { Message } from "./chat/message.js";
import { QUALITIES, requestOf } from "./chat/request.js";
import { Settings } from "./chat/settings.js";
import { begin, chat, draft, isEmpty, set, startNew, titles } from "./chat/state.js";
import { keep, path } from "./chat/tree.js";

const EXAMPLES = [
  "Explain how a rainbow forms, in three sentences.",
  "Write a Python function that checks whether a word is a palindrome.",
  "What are five good names for a small bakery?",
];

export function Chat() {
  const [listed, setListed] = useState(false);
  const [side, setSide] = useState(0);
  const [ready, setReady] = useState(false);
  useEffect(() => {
    begin()
      .then(() => {
        // Whoever has chats will read them; the open one is not shown as raw text first.
        const coming = titles.peek().length ? fetchProse() : null;
        return isEmpty(chat.peek()) ? null : coming;
      })
      .then(() => setReady(true));
  }, []);
  const { settings, tree } = chat.value;
  const empty = isEmpty(chat.value);
  const request = useRequest(settings.compare ? side : 0);
  const whose =
    settings.compare &&
    html`<${SelectField} label="Code of" value=${String(side)} options=${[["0", "Left"], ["1", "Right"]]} onValue=${(chosen) => setSide(Number(chosen))} />`;
  return html`<${Workbench} settings=${html`<${Settings} />`} request=${request} whose=${whose}>
    <div class="chat">
      <div class=${`chat-side${listed ? " open" : ""}`} id="chat-side"><${ChatList} onOpened=${() => setListed(false)} /></div>
      <div class="chat-pane">
        <div class="chat-top">
          <${Button} small kind="quiet" icon="menu" class="button quiet small chat-turn chat-lists" aria-expanded=${listed ? "true" : "false"} aria-controls="chat-side" onClick=${() => setListed(!listed)}>Chats</${Button}>
          <${Switch} label="Side by side" value=${settings.compare} onValue=${compare} />
          <${IconButton} icon="plus" label="New chat" class="button quiet square chat-turn" onClick=${startNew} />
        </div>
        ${(key.value || me.value) && html`<${Choices} settings=${settings} />`}
        ${ready && (empty ? html`<${Welcome} />` : html`<${Thread} tree=${tree} compare=${settings.compare} />`)}
        <${Composer} />
        <p class="visually-hidden" role="status">${said.value}</p>
      </div>
    </div>
  </${Workbench}>`;
}

/** The request that Send would make in a column, for the code beside it. */
function useRequest(column) {
  const { settings, tree } = chat.value;
  const text = draft.value.trim();
  const images = pictures.value;
  const { model, otherModel } = settled(settings);
  return useMemo(() => {
    const before = path(tree, column).map((id) => tree.messages[id]);
    const next = text || images.length ? [{ role: "user", content: text, images }] : [];
    // Without anything to say, the last question is what was sent.
    const asked = next.length ? before : before.slice(0, before.findLastIndex((one) => one.role !== "assistant") + 1);
    if (![...asked, ...next].length) return null;
    return requestOf(settled(settings), [...asked, ...next], column);
  }, [settings, tree, text, images, column, model, otherModel]);
}

function compare(on) {
  const now = chat.peek();
  if (!on) {
    set({ compare: false });
    return;
  }
  // A second column begins with what the first one shows, and differs from it.
  chat.value = { ...now, tree: keep(now.tree, 0) };
  const { model, quality, otherModel, otherQuality } = settled(now.settings);
  const same = model === otherModel && quality === otherQuality;
  set({ compare: true, otherQuality: same ? (quality === "high" ? "low" : "high") : otherQuality });
}

/** The model and the mode of each column. */
function Choices({ settings }) {
  const { model, otherModel } = settled(settings);
  const one = (
    label,
    chosen,
    quality,
    onModel,
    onQuality,
  ) => html`<div class="chat-choice" role="group" aria-label=${label}>
    <${ModelChoice} task="chat" value=${chosen} onValue=${onModel} />
    <${SelectField} label="Quality" value=${quality} options=${QUALITIES} onValue=${onQuality} />
  </div>`;
  return html`<div class=${`chat-choices${settings.compare ? " two" : ""}`}>
    ${one(
      settings.compare ? "Left" : "Model and quality",
      model,
      settings.quality,
      (chosen) => set({ model: chosen }),
      (quality) => set({ quality }),
    )}
    ${
      settings.compare &&
      one(
        "Right",
        otherModel,
        settings.otherQuality,
        (chosen) => set({ otherModel: chosen }),
        (otherQuality) => set({ otherQuality }),
      )
    }
  </div>`;
}

function Welcome() {
  const ask = (text) => {
    const refused = !mayInfer.value || expired.value;
    if (!refused && settled(chat.peek().settings).model) say(text);
    else {
      draft.value = text;
      asking.value = refused;
    }
  };
  return html`<div class="chat-welcome">
    <h2>What would you like to know?</h2>
    <ul role="list">
      ${EXAMPLES.map((text) => html`<li key=${text}><button type="button" class="chat-example" onClick=${() => ask(text)}>${text}<${Icon} name="right" size=${16} /></button></li>`)}
    </ul>
  </div>`;
}

/** The messages: in one column, and from where two differ in two. */
function Thread({ tree, compare: two }) {
  const place = useRef(null);
  const follow = useFollow(place);
  const left = path(tree, 0);
  const right = two ? path(tree, 1) : left;
  const parting = two ? left.findIndex((id, at) => right[at] !== id) : -1;
  const together = parting < 0 ? left : left.slice(0, parting);
  const shown = (ids, column) =>
    ids.map(
      (id) => html`<${Message} key=${id} message=${tree.messages[id]} column=${column} last=${id === ids.at(-1)} />`,
    );
  const writes = isWriting(chat.value.id);
  // Whoever asks wants to see the answer, wherever the page stood.
  useLayoutEffect(() => {
    if (writes) follow.go();
  }, [writes]);
  return html`<div class="chat-thread" ref=${place}>
    ${shown(together, 0)}
    ${
      parting >= 0 &&
      html`<div class="chat-columns">
        <section aria-label="Left">${shown(left.slice(parting), 0)}<${KeepThis} column=${0} busy=${writes} /></section>
        <section aria-label="Right">${shown(right.slice(parting), 1)}<${KeepThis} column=${1} busy=${writes} /></section>
      </div>`
    }
    ${writes && !follow.near && html`<div class="chat-newest"><${Button} small icon="down" onClick=${follow.go}>To the newest</${Button}></div>`}
  </div>`;
}

function KeepThis({ column, busy }) {
  const go = () => {
    const now = chat.peek();
    chat.value = { ...now, tree: keep(now.tree, column) };
    const { model, quality, otherModel, otherQuality } = settled(now.settings);
    set({ compare: false, model: column ? otherModel : model, quality: column ? otherQuality : quality });
  };
  return html`<div><${Button} small kind="quiet" icon="check" disabled=${busy} onClick=${go}>Go on with this one</${Button}></div>`;
}

/** Scrolls along with what grows, as long as its end was in sight. */
function useFollow(place) {
  const [near, setNear] = useState(true);
  const state = useRef(true);
  const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 96;
  const go = () => {
    state.current = true;
    scrollTo({ top: document.documentElement.scrollHeight });
  };
  useLayoutEffect(() => {
    let before = scrollY;
    const scrolled = () => {
      // Who scrolls up wants to read. That the end is far is no sign of it: the text may have grown since.
      if (atEnd()) state.current = true;
      else if (scrollY < before) state.current = false;
      before = scrollY;
      setNear(state.current);
    };
    const grown = new ResizeObserver(() => {
      if (state.current) go();
    });
    addEventListener("scroll", scrolled, { passive: true });
    grown.observe(place.current);
    go();
    return () => {
      removeEventListener("scroll", scrolled);
      grown.disconnect();
    };
  }, []);
  return { near, go };
}
