/** Where in a recording what is said. Pure functions. */

/** The words of each segment, from the one list that an answer has of them. */
export function withWords(segments, words) {
  let next = 0;
  return segments.map((segment, at) => {
    const own = [];
    const last = at === segments.length - 1;
    // A word belongs to the segment that it begins in; what lies between two segments goes to the earlier one.
    while (next < words.length && (last || words[next].start < segments[at + 1].start)) own.push(words[next++]);
    return { ...segment, words: own };
  });
}

/** A segment's text, cut at its words: [{text, word?}], word being the word's own {word, start, end}. What stands between
 * words (spaces, where the language has them) is a piece without one. */
export function pieces({ text, words }) {
  const found = [];
  let from = 0;
  for (const word of words ?? []) {
    const at = text.indexOf(word.word, from);
    // A text that does not have its own words is shown as words alone.
    if (at < 0)
      return words.flatMap((one, number) => [...(number ? [{ text: " " }] : []), { text: one.word, word: one }]);
    if (at > from) found.push({ text: text.slice(from, at) });
    found.push({ text: word.word, word });
    from = at + word.word.length;
  }
  if (from < text.length) found.push({ text: text.slice(from) });
  return found;
}

/** The number of the word, or segment, that is said at `time`, or -1 before the first. Between two it is the earlier one. */
export function saidAt(times, time) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** 0:07, 12:34, 1:02:03 */
export function position(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (part) => String(part).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
