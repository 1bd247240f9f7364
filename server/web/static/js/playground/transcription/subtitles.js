/** A transcript as files, byte for byte as the server writes them (server/api/openai/transcripts.py). Pure functions. */

/** What Python's str.split() takes for space. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: four of them are space there.
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

/** segments: [{start, end, text}], in seconds. */
export function asSrt(segments) {
  return segments
    .map(({ start, end, text }, at) => `${at + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${cue(text)}\n\n`)
    .join("");
}

export function asVtt(segments) {
  const cues = segments.map(
    ({ start, end, text }) => `${clock(start, ".")} --> ${clock(end, ".")}\n${escaped(cue(text))}\n\n`,
  );
  return `WEBVTT\n\n${cues.join("")}`;
}

export function asText(text) {
  return `${text}\n`;
}

/** HH:MM:SS and milliseconds, which stand behind `mark`. */
export function clock(seconds, mark) {
  const all = rounded(seconds * 1000);
  const two = (part) => String(Math.floor(part)).padStart(2, "0");
  const parts = [two(all / 3_600_000), two((all / 60_000) % 60), two((all / 1000) % 60)];
  return `${parts.join(":")}${mark}${String(all % 1000).padStart(3, "0")}`;
}

/** Halves go to the even neighbour, as Python rounds. */
function rounded(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

// An arrow within a cue would be read as a line of times.
const cue = (text) => text.split(SPACE).filter(Boolean).join(" ").replaceAll("-->", "->");
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
