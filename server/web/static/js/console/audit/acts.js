/** Acts of the audit log in words. Pure functions. */

const ACTIONS = {
  "account.create": "Account made",
  "account.change": "Account changed",
  "account.close": "Account closed",
  "account.reopen": "Account opened again",
  "credits.grant": "Credits given or taken",
  "key.create": "Key made",
  "key.change": "Key changed",
  "key.revoke": "Key revoked",
  "model.load": "Model loaded",
  "model.unload": "Model unloaded",
  "model.probe": "Model probed",
  "dataset.search": "Dataset searched",
  "dataset.delete": "Dataset deleted",
  "document.retry": "Document tried again",
  "document.cancel": "Document cancelled",
  "document.delete": "Document deleted",
  "file.delete": "File deleted",
  "batch.pause": "Batch paused",
  "batch.resume": "Batch resumed",
  "batch.cancel": "Batch cancelled",
  "persona.create": "Persona made",
  "persona.change": "Persona changed",
  "persona.delete": "Persona deleted",
  "secret.renew": "Secret renewed",
};

/** The action in words; one that this page does not know, as the server calls it. */
export function actionText(action) {
  return ACTIONS[action] ?? action;
}

/** The details, a line each: [what, as it was, as it is], or [what, value] where nothing was before. */
export function detailLines(details) {
  const { before, after, ...others } = details;
  const lines = flat(others).map(([name, value]) => [name, text(value)]);
  if (!isObject(before) || !isObject(after)) {
    const rest = [...flat({ ...(before !== undefined && { before }), ...(after !== undefined && { after }) })];
    return [...lines, ...rest.map(([name, value]) => [name, text(value)])];
  }
  const was = new Map(flat(before));
  const now = new Map(flat(after));
  for (const name of new Set([...was.keys(), ...now.keys()])) {
    lines.push([name, text(was.get(name)), text(now.get(name))]);
  }
  return lines;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Objects within objects as limits.tokens_per_minute. */
function flat(value, path = "") {
  return Object.entries(value).flatMap(([name, inner]) =>
    isObject(inner) ? flat(inner, `${path}${name}.`) : [[`${path}${name}`, inner]],
  );
}

function text(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value))
    return value.map((each) => (typeof each === "object" ? JSON.stringify(each) : each)).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/** What is left out of a line of details at first: what nobody set. */
export function isSaying(line) {
  return line.length > 2 || line[1] !== "–";
}
