/** Files that the page makes, for the reader to keep. */

/** content: a text or a Blob. */
export function download(content, name, type = "text/plain") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken hold of it by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A file's name with another ending. */
export function renamed(name, ending) {
  return `${name.replace(/\.[^.]{1,5}$/, "") || "audio"}.${ending}`;
}
