/** What the Images tab sends, of what its form says. Pure functions. */

/** What the form says at first; null and `auto` leave a field to the server. */
export const STANDARD = {
  model: "",
  size: "auto",
  n: 1,
  quality: "auto",
  previews: 2,
  seed: null,
  steps: null,
  guidance: null,
  negative: "",
  background: "auto",
  format: "png",
  compression: null,
  strength: null,
  fidelity: "low",
};

/** The ways to a picture: the path, the button's verb, and whether the answer comes as events. The SDKs have no stream for
 * variations, so none is asked for. */
export const WAYS = {
  draw: { path: "/v1/images/generations", verb: "Draw", stream: true },
  edit: { path: "/v1/images/edits", verb: "Redraw", stream: true },
  vary: { path: "/v1/images/variations", verb: "Vary", stream: false },
};

/**
 * The request, as of code/code.js. way: of WAYS; model: its id; settings: as STANDARD; files: the names that stand for the
 * picture and its mask, {picture, mask?}.
 */
export function requestOf(way, { model, prompt, settings, files = {} }) {
  const { path, stream } = WAYS[way];
  const fields = [["model", model]];
  if (files.picture) fields.push(["image", { file: files.picture }]);
  if (files.mask) fields.push(["mask", { file: files.mask }]);
  if (way !== "vary") fields.push(["prompt", prompt]);
  fields.push(...settingFields(way, settings));
  if (stream) {
    fields.push(["stream", true]);
    if (settings.previews) fields.push(["partial_images", settings.previews]);
  } else {
    fields.push(["response_format", "b64_json"]);
  }
  const request = { path, stream };
  return way === "draw" ? { ...request, json: Object.fromEntries(fields) } : { ...request, form: fields };
}

function settingFields(way, settings) {
  const lossy = settings.format !== "png";
  const said = [
    ["n", settings.n === 1 ? null : settings.n],
    ["size", settings.size.trim() === "auto" ? null : settings.size.trim()],
    ["quality", settings.quality === "auto" ? null : settings.quality],
    ["seed", settings.seed],
    ["steps", settings.steps],
    ["guidance", settings.guidance],
    ["negative_prompt", settings.negative.trim() || null],
    ["background", way === "vary" || settings.background === "auto" ? null : settings.background],
    ["output_format", lossy ? settings.format : null],
    ["output_compression", lossy ? settings.compression : null],
    ["strength", way === "draw" ? null : settings.strength],
    ["input_fidelity", way === "edit" && settings.fidelity === "high" ? "high" : null],
  ];
  return said.filter(([, value]) => value !== null && value !== "");
}

/** A request's form as it is sent. blobs: by the names that stand for files. */
export function formOf(request, blobs) {
  const form = new FormData();
  for (const [name, value] of request.form) {
    if (typeof value === "object") form.append(name, blobs[value.file], value.file);
    else form.append(name, String(value));
  }
  return form;
}

/** The name of a file: what the prompt says, in letters that every file system takes, and the seed. */
export function fileName({ prompt, seed, format }) {
  const words = prompt
    .toLowerCase()
    .normalize("NFKD")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40)
    .replace(/-$/, "");
  const parts = [words || "picture", seed].filter((part) => part !== null && part !== undefined);
  return `${parts.join("-")}.${format === "jpeg" ? "jpg" : format}`;
}

/** What is written where a size may be free: whether the server can read it. */
export function isSize(text) {
  return text.trim() === "auto" || /^[1-9]\d{0,4}x[1-9]\d{0,4}$/.test(text.trim());
}
