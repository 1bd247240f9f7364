/** What is read off the list of all datasets. Pure functions. */

/** How many of a dataset's documents go on by themselves. */
export const open = ({ states }) => states.queued + states.reading + states.embedding;

/** Those whose name, or whose account's, has all the words. */
export function matching(datasets, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return datasets.filter(({ name, owner }) => {
    const text = `${name} ${owner.name}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
