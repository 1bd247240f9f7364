/** The frame of every page: the bar, who uses the tab, the theme, what is wrong with the connection. */
import { BASE, get } from "../http.js";
import { html, render, useEffect, useState } from "../lib.js";
import { asking, enter, expired, key, leave, look, me, online, trouble } from "../session.js";
import { Button, IconButton } from "./button.js";
import { Dialog } from "./dialog.js";
import { TextField } from "./field.js";
import { Icon } from "./icon.js";
import { ErrorNote } from "./states.js";
import { Toasts } from "./toasts.js";

const PAGES = [
  ["home", "Home", ""],
  ["playground", "Playground", "playground"],
  ["console", "Console", "console"],
];

/** Milliseconds between two looks whether the server is back. */
const AGAIN = 3_000;

/** Show a page. page: its name among the above; Content: its component. */
export function show(page, Content) {
  look();
  render(html`<${Shell} page=${page}><${Content} /></${Shell}>`, document.getElementById("app"));
}

function Shell({ page, children }) {
  return html`
    <a class="skip" href="#main">To the content</a>
    <header class="bar">
      <a class="bar-name" href=${BASE}><img src=${new URL("../../icon.svg", import.meta.url).href} alt="" /><span>sagehold</span></a>
      <nav aria-label="Pages">
        ${PAGES.map(
          ([name, shown, path]) =>
            html`<a key=${name} href=${BASE + path} aria-current=${name === page ? "page" : undefined}>${shown}</a>`,
        )}
      </nav>
      <div class="bar-end"><${KeyButton} /><${ThemeButton} /></div>
    </header>
    <${Connection} />
    <main id="main" class="frame" tabindex="-1">${children}</main>
    <${KeyDialog} />
    <${Toasts} />
  `;
}

/** That the server does not answer, until it does. */
function Connection() {
  const away = !online.value;
  useEffect(() => {
    if (!away) return undefined;
    const timer = setInterval(async () => {
      try {
        await get("/health", { key: "" });
      } catch {
        return;
      }
      if (!me.value) look();
    }, AGAIN);
    return () => clearInterval(timer);
  }, [away]);
  return (
    away &&
    html`<p class="notice" role="alert"><${Icon} name="warning" />The server does not answer. What you wrote is kept.</p>`
  );
}

function KeyButton() {
  const ask = () => {
    asking.value = true;
  };
  if (me.value && !key.value) return html`<span class="hint">No key needed</span>`;
  if (expired.value) return html`<${Button} small kind="danger" icon="warning" onClick=${ask}>Key refused</${Button}>`;
  return html`<${Button} small icon="key" onClick=${ask}><span class="bar-key">${me.value ? me.value.name || "Your key" : "Enter key"}</span></${Button}>`;
}

/** Light, dark, or as the system has it. */
function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "system");
  const next = { system: "light", light: "dark", dark: "system" }[theme];
  const turn = () => {
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "system") localStorage.removeItem("sagehold.theme");
      else localStorage.setItem("sagehold.theme", next);
    } catch {
      // Then it lasts until the page is left.
    }
    setTheme(next);
  };
  const icon = { system: "system", light: "sun", dark: "moon" }[theme];
  return html`<${IconButton} icon=${icon} label=${`Theme: ${theme}. Change to ${next}`} onClick=${turn} />`;
}

function KeyDialog() {
  const [text, setText] = useState("");
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (!asking.value) {
      setText("");
      setError(null);
    }
  }, [asking.value]);
  const close = () => {
    asking.value = false;
  };
  const submit = async (event) => {
    event.preventDefault();
    const trimmed = text.trim();
    // A header takes no other characters, and no key has any.
    if (!/^[\x21-\x7e]+$/.test(trimmed)) {
      setError({ message: "A key is letters, digits and dashes, such as sk-sage-…" });
      return;
    }
    setBusy(true);
    try {
      await enter(trimmed);
      close();
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy(false);
    }
  };
  const forget = () => {
    leave();
    close();
  };
  return html`<${Dialog} open=${asking.value} title="Your API key" onClose=${close}>
    <form class="stack" onSubmit=${submit}>
      ${!error && trouble.value && html`<${ErrorNote} error=${trouble.value}><p>Enter a key to go on; nothing on this page is lost.</p></${ErrorNote}>`}
      ${me.value && key.value && !expired.value && html`<${WhoIsIt} />`}
      <${TextField}
        label=${me.value && key.value && !expired.value ? "Another key" : "Key"}
        type="password"
        autocomplete="off"
        spellcheck=${false}
        placeholder="sk-sage-…"
        value=${text}
        onValue=${setText}
        hint="It is kept in this tab until you close it: in no cookie, in no URL. The first start of the server printed one; an operator makes others in the console."
      />
      <${ErrorNote} error=${error} />
      <div class="actions">
        ${key.value && html`<${Button} onClick=${forget}>Forget the key</${Button}>`}
        <${Button} kind="main" type="submit" busy=${busy}>Use this key</${Button}>
      </div>
    </form>
  </${Dialog}>`;
}

function WhoIsIt() {
  const { name, account, scopes } = me.value;
  return html`<p>This tab uses the key <strong>${name || "without a name"}</strong> of the account <strong>${account.name}</strong>. It may: ${scopes.join(", ")}.</p>`;
}
