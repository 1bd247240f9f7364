/** A document's passages as one text to be read. Pure functions. */

/**
 * Passages repeat the end of the one before them, and what was between two is not in either of them. Pieces are what
 * stands where: {place, text, cited, heading, page, apart, gap}. heading, page: only where they are others than before.
 * apart: whether it begins a paragraph, rather than going on, after `gap`, where the last one ended.
 *
 * The passage at the place `cited` is whole; those before and after it are shortened where they overlap.
 *
 * @param {{place: number, text: string, heading: string, page: number | null, start: number, end: number}[]} passages
 * in order, and without gaps @param {number | null} cited
 */
export function pieces(passages, cited = null) {
  const whole = passages.find(({ place }) => place === cited);
  const found = [];
  let heading = null;
  let page = null;
  let last = null;
  for (const passage of passages) {
    const letters = [...passage.text];
    let { start, end } = passage;
    // The places of a recording's passages are times, by which nothing can be cut.
    const cut = end - start === letters.length;
    if (cut && whole && passage !== whole && whole.end - whole.start === [...whole.text].length) {
      if (passage.place < whole.place) end = Math.max(start, Math.min(end, whole.start));
      else start = Math.min(end, Math.max(start, whole.end));
    }
    if (cut && last !== null && passage !== whole) start = Math.min(end, Math.max(start, last));
    const text = cut ? letters.slice(start - passage.start, end - passage.start).join("") : passage.text;
    const apart = !cut || last === null || start - last > 1;
    const moved = heading !== passage.heading || page !== passage.page;
    if (text.trim() || passage === whole) {
      found.push({
        place: passage.place,
        text,
        cited: passage === whole,
        heading: heading !== passage.heading ? passage.heading : "",
        page: page !== passage.page ? passage.page : null,
        apart: moved || apart,
        gap: !apart && start - last === 1 ? " " : "",
      });
      heading = passage.heading;
      page = passage.page;
      last = cut ? end : last;
    }
  }
  return found;
}

/** The pieces in paragraphs: each a list of those that go on from one another. */
export function paragraphs(found) {
  const made = [];
  for (const piece of found) {
    if (piece.apart || !made.length) made.push([piece]);
    else made.at(-1).push(piece);
  }
  return made;
}

/** A dataset's own name, of its full one. */
export function shortName(full) {
  return /^user_(?:custom|content)_\d+_(.+)_content$/s.exec(full)?.[1] ?? full;
}

/** Where a passage stands, in words: "page 3 · Leave › Parents". Nothing where nothing is known. */
export function whereabouts({ page, heading }) {
  return [page === null || page === undefined ? "" : `page ${page}`, heading].filter(Boolean).join(" · ");
}
