/**
 * Who uses this tab. The key is kept in the tab's own storage, which ends with the tab: never in a cookie, never in a URL.
 */
import { ApiError, get, wire } from "./http.js";
import { batch, computed, signal } from "./lib.js";

const PLACE = "sagehold.key";

function kept() {
  try {
    return sessionStorage.getItem(PLACE) ?? "";
  } catch {
    return "";
  }
}

/** The key, or "" where there is none. */
export const key = signal(kept());
/** What GET /v1/key says of it: its name, scopes and models; null before that is known. */
export const me = signal(null);
/** Why there is nobody: an ApiError (a key that was refused, a server that does not answer), or null. */
export const trouble = signal(null);
/** Whether the server answers; false from a failed request until the next one that is answered. */
export const online = signal(true);
/** Whether the dialog for the key is open. */
export const asking = signal(false);

/** Whether the key was good once, and is not any more: nothing is asked with it then. */
export const expired = computed(() => me.value !== null && trouble.value !== null);

/** Whether requests to models may be sent: there is a key that has the scope, or the server wants none. */
export const mayInfer = computed(() => me.value?.scopes.includes("inference") ?? false);
export const isAdmin = computed(() => me.value?.scopes.includes("admin") ?? false);
/** Whether the account's usage may be seen, rather than the key's own. */
export const seesUsage = computed(() => isAdmin.value || (me.value?.scopes.includes("usage") ?? false));

wire.key = () => key.value;
wire.reached = (answered) => {
  online.value = answered;
};
wire.refused = (error, used) => {
  // A request that left before the key was changed says nothing of the new one.
  if (used !== key.value) return;
  // Asked once: who closes the dialog is not met by it again at the next look that a page takes by itself. What the key
  // was is still known, so that the page stays as it is, with all that was typed.
  if (!expired.value) asking.value = true;
  trouble.value = error;
};

/** Find out what the key may do. Also without a key: a server with `auth` off takes anybody. */
export async function look() {
  const asked = key.value;
  try {
    const found = await get("/v1/key", { key: asked });
    if (asked !== key.value) return;
    me.value = found;
    trouble.value = null;
  } catch (error) {
    if (asked !== key.value) return;
    me.value = null;
    // Without a key a refusal is what a server with keys says; it is no trouble.
    trouble.value = !asked && error instanceof ApiError && error.status === 401 ? null : error;
  }
}

/** Take a key, and keep it for the tab if the server does not refuse it. Raises ApiError if it does. */
export async function enter(text) {
  const found = await get("/v1/key", { key: text });
  batch(() => {
    key.value = text;
    me.value = found;
    trouble.value = null;
  });
  try {
    sessionStorage.setItem(PLACE, text);
  } catch {
    // Then it lasts until the page is left.
  }
}

export function leave() {
  batch(() => {
    key.value = "";
    me.value = null;
    trouble.value = null;
  });
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // It was not kept.
  }
  look();
}

// A page that the browser had put away whole comes back as it was left: with what the key has shown on it, though the tab may
// have forgotten that key meanwhile, or taken another.
globalThis.addEventListener?.("pageshow", (event) => {
  if (event.persisted && kept() !== key.value) location.reload();
});
