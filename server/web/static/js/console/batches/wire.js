/** What the room of batches asks the server for: an operator for all accounts', others for their account's own. */
import { get, post, query } from "../../http.js";
import { isAdmin, mayInfer, me } from "../../session.js";

const AT_ONCE = 20;

const root = () => (isAdmin.value ? "/admin/v1/batches" : "/v1/batches");

/**
 * The newest batches: `pages` pages of them, and behind them the one called `id`, where a link names an older one.
 * @returns {Promise<{rows: object[], more: boolean, at: number}>} at: when they were asked for, in seconds since 1970
 */
export async function batchesOf(pages, id, signal) {
  const rows = [];
  let more = true;
  for (let page = 0; more && page < pages; page += 1) {
    const found = await get(root() + query({ limit: AT_ONCE, after: rows.at(-1)?.id }), { signal });
    rows.push(...found.data);
    more = found.has_more && found.data.length > 0;
  }
  if (more && id && !rows.some((one) => one.id === id)) rows.push(...(await named(id, signal)));
  return { rows, more, at: Date.now() / 1000 };
}

/** The batch of that id; none where there is none. */
async function named(id, signal) {
  try {
    return [await get(`${root()}/${encodeURIComponent(id)}`, { signal })];
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

/** act: pause, resume or cancel. Returns the batch as it is then. */
export const change = (batch, act) => post(`${root()}/${encodeURIComponent(batch.id)}/${act}`, {});

/** Whether the key of this tab may read files of the batch's or the file's account. */
export function isOwn({ account }) {
  return mayInfer.value && (!account || account.id === me.value?.account?.id);
}

export const contentOf = (fileId) => `/v1/files/${encodeURIComponent(fileId)}/content`;
