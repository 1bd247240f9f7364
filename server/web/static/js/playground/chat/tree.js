/**
 * A conversation as a tree of messages: whoever edits or asks again makes a branch, and nothing is overwritten. Pure
 * functions; a tree is never changed, a new one is returned.
 *
 * A tree is {messages, chosen}. messages: by id, in the order in which they were made; each knows its `parent`, null for
 * a first one. chosen: for each of the two columns, which child is shown below a message, by the message's id; ROOT stands
 * for what is above the first messages. Where a column says nothing, the newest child is shown.
 */

export const ROOT = "root";
export const EMPTY = Object.freeze({ messages: Object.freeze({}), chosen: Object.freeze([{}, {}]) });

const indexes = new WeakMap();

/** The ids below each id, oldest first. */
function childrenOf(tree) {
  let found = indexes.get(tree.messages);
  if (!found) {
    found = new Map();
    for (const [id, message] of Object.entries(tree.messages)) {
      const above = message.parent ?? ROOT;
      if (!found.has(above)) found.set(above, []);
      found.get(above).push(id);
    }
    indexes.set(tree.messages, found);
  }
  return found;
}

/** The ids that a column shows, from the first message to the last. */
export function path(tree, column = 0) {
  const children = childrenOf(tree);
  const found = [];
  let above = ROOT;
  for (;;) {
    const below = children.get(above);
    if (!below) return found;
    const chosen = tree.chosen[column]?.[above];
    above = below.includes(chosen) ? chosen : below.at(-1);
    found.push(above);
  }
}

/** The last message that a column shows, or null. */
export function leaf(tree, column = 0) {
  return path(tree, column).at(-1) ?? null;
}

/** The messages from the first to this one. */
export function upTo(tree, id) {
  const found = [];
  for (let at = id; at !== null && at !== undefined; at = tree.messages[at].parent) found.unshift(tree.messages[at]);
  return found;
}

/** Where a message stands among those that answer the same one: {at, of, before, after}, counted from 1. */
export function place(tree, id) {
  const ids = childrenOf(tree).get(tree.messages[id].parent ?? ROOT);
  const at = ids.indexOf(id);
  return { at: at + 1, of: ids.length, before: ids[at - 1] ?? null, after: ids[at + 1] ?? null };
}

/** With a message added below its parent. It is shown in the columns that are named. */
export function add(tree, message, columns = [0, 1]) {
  const grown = { ...tree, messages: { ...tree.messages, [message.id]: message } };
  return columns.reduce((one, column) => show(one, message.id, column), grown);
}

/** With some fields of a message changed. */
export function change(tree, id, fields) {
  if (!tree.messages[id]) return tree;
  return { ...tree, messages: { ...tree.messages, [id]: { ...tree.messages[id], ...fields } } };
}

/** With this message shown in a column, in place of those that answer the same one. */
export function show(tree, id, column = 0) {
  const above = tree.messages[id].parent ?? ROOT;
  return {
    ...tree,
    chosen: tree.chosen.map((one, at) => (at === column ? { ...one, [above]: id } : one)),
  };
}

/** With the first column showing what the other one shows. */
export function keep(tree, column) {
  return { ...tree, chosen: [tree.chosen[column], tree.chosen[column]] };
}

function isNewer(one, other) {
  if (one.at !== other.at) return one.at > other.at;
  return Boolean(other.unfinished && !one.unfinished);
}

/** Two versions of one tree, as two tabs have them: all messages of both. Of a message that both have, the one that was
 * begun last stands (it may have been written anew, or on), and of the same one that which is finished; what is shown is
 * as `mine` has it. */
export function merged(theirs, mine) {
  const messages = { ...theirs.messages };
  for (const [id, message] of Object.entries(mine.messages)) {
    const other = messages[id];
    messages[id] = other && isNewer(other, message) ? other : message;
  }
  return { messages, chosen: mine.chosen };
}
