/** Keys of all accounts. */
import { ask } from "../amounts.js";
import { Answer, useAsked } from "../asked.js";
import { html } from "../lib.js";
import { key } from "../session.js";
import { KeyList } from "./keys/list.js";

export function Keys() {
  const accounts = useAsked((signal) => ask("GET", "/admin/v1/accounts", { signal }), [key.value]);
  return html`<${Answer} asked=${accounts} label="Loading the accounts">${({ data }) => html`<${KeyList} accounts=${data} />`}</${Answer}>`;
}
