/** Accounts: all of them, or the one that the URL names. */
import { ask } from "../amounts.js";
import { Answer, useAsked } from "../asked.js";
import { Dialog } from "../components/dialog.js";
import { toast } from "../components/toasts.js";
import { html, useState } from "../lib.js";
import { key } from "../session.js";
import { AccountForm } from "./accounts/form.js";
import { AccountList } from "./accounts/list.js";
import { AccountPage } from "./accounts/page.js";
import { within } from "./within.js";

export function Accounts() {
  const id = within.value;
  return id ? html`<${AccountPage} key=${id} id=${id} />` : html`<${All} />`;
}

function All() {
  const asked = useAsked((signal) => ask("GET", "/admin/v1/accounts", { signal }), [key.value]);
  const [creating, setCreating] = useState(false);
  const close = () => setCreating(false);
  const made = (account) => {
    close();
    toast("The account is made.");
    location.hash = `accounts/${account.id}`;
  };
  return html`<${Answer} asked=${asked} label="Loading the accounts">
      ${({ data }) => html`<${AccountList} accounts=${data} onCreate=${() => setCreating(true)} />`}
    </${Answer}>
    <${Dialog} open=${creating} title="Create an account" onClose=${close}>
      <${AccountForm} record=${null} onDone=${made} onClose=${close} />
    </${Dialog}>`;
}
