/** The request for a transcript. Pure functions. */

export const LANGUAGES =
  "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh".split(
    " ",
  );

/** [code, English name], by name; first that the model finds out. */
export function languageOptions() {
  const names = new Intl.DisplayNames(["en"], { type: "language" });
  // `jw` is Whisper's own code for Javanese.
  const named = LANGUAGES.map((code) => [code, names.of(code === "jw" ? "jv" : code)]);
  return [["", "Find out"], ...named.sort(([, one], [, other]) => one.localeCompare(other, "en"))];
}

/**
 * See code/code.js. A transcript comes as a stream; for translations the SDKs know none, so they come as a whole.
 * model: the one that stands; file: the recording's name.
 */
export function requestOf({ language, prompt, temperature, quality, translate }, model, file) {
  const form = [
    ["file", { file }],
    ["model", model],
    ["response_format", "verbose_json"],
    ["timestamp_granularities[]", "word"],
    ["timestamp_granularities[]", "segment"],
  ];
  if (language) form.push(["language", language]);
  if (prompt.trim()) form.push(["prompt", prompt]);
  if (temperature !== null) form.push(["temperature", temperature]);
  if (quality !== "auto") form.push(["quality", quality]);
  if (translate) return { path: "/v1/audio/translations", form };
  form.push(["stream", true]);
  return { path: "/v1/audio/transcriptions", form, stream: true };
}

/** The same as a body. recording: a File. */
export function bodyOf({ form }, recording) {
  const body = new FormData();
  for (const [name, value] of form) {
    if (typeof value === "object") body.append(name, recording, value.file);
    else body.append(name, String(value));
  }
  return body;
}

/** The last event of a stream in the form that the server's verbose_json has. */
export function verboseOf({ task, language, duration, text, words, segments, seconds, credits, quality }) {
  const usage = { type: "duration", seconds, ...(credits === undefined ? {} : { credits }), quality };
  return { task, language, duration, text, words, segments, usage };
}
