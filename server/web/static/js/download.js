/** A file of the server's, saved by the browser. The key goes in the header, so that it stands in no URL. */
import { Button } from "./components/button.js";
import { ErrorNote } from "./components/states.js";
import { send } from "./http.js";
import { html, useState } from "./lib.js";

/** Save what a path has, under a name. Raises ApiError. */
export async function save(path, name) {
  const blob = await (await send("GET", path)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read it a little later.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function DownloadButton({ path, name, label = "Download CSV", ...rest }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const press = async () => {
    setBusy(true);
    setError(null);
    try {
      await save(path, name);
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  };
  return html`<${Button} icon="download" busy=${busy} onClick=${press} ...${rest}>${label}</${Button}><${ErrorNote} error=${error} />`;
}
