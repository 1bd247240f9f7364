/** The text format of Prometheus (version 0.0.4 of its exposition formats), read. Pure. */

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*$/;
const ESCAPED = { n: "\n", "\\": "\\", '"': '"' };

/** Every sample by its name: a Map of [{labels, value}]. Labels have no prototype, so that any name is one. Lines that can't
 * be read are left out. */
export function parse(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line[0] === "#") continue;
    const match = LINE.exec(line);
    const labels = match && labelsOf(match[2]);
    if (!labels) continue;
    const value = numberOf(match[3]);
    if (value === null) continue;
    if (!found.has(match[1])) found.set(match[1], []);
    found.get(match[1]).push({ labels, value });
  }
  return found;
}

/** The labels between braces; null where they can't be read. */
function labelsOf(text) {
  const labels = Object.create(null);
  if (!text) return labels;
  let at = 1;
  while (at < text.length - 1) {
    const name = /^[ ,]*([a-zA-Z_][a-zA-Z0-9_]*)[ ]*=[ ]*"/.exec(text.slice(at));
    if (!name) return /^[ ,]*\}$/.test(text.slice(at)) ? labels : null;
    at += name[0].length;
    let value = "";
    while (text[at] !== '"') {
      if (at >= text.length) return null;
      if (text[at] === "\\") {
        value += ESCAPED[text[at + 1]] ?? `\\${text[at + 1]}`;
        at += 2;
      } else {
        value += text[at];
        at += 1;
      }
    }
    labels[name[1]] = value;
    at += 1;
  }
  return labels;
}

function numberOf(text) {
  const special = { "+Inf": Infinity, "-Inf": -Infinity, Inf: Infinity, NaN: Number.NaN }[text];
  if (special !== undefined) return special;
  const value = Number(text);
  return Number.isNaN(value) ? null : value;
}
