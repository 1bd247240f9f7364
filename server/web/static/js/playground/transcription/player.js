/** The recording itself, to be heard. */
import { Note } from "../../components/states.js";
import { html, useEffect, useState } from "../../lib.js";
import { recording } from "./work.js";

/** audio: a ref, which gets the element. */
export function Player({ audio }) {
  const { file, url } = recording.value;
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [url]);
  const known = (event) => {
    const element = event.currentTarget;
    if (Number.isFinite(element.duration)) {
      if (recording.value?.url === url) recording.value = { ...recording.value, duration: element.duration };
      return;
    }
    // What a microphone recorded does not say how long it is; browsers find out when they are sent beyond its end.
    element.addEventListener(
      "durationchange",
      () => {
        element.currentTime = 0;
      },
      { once: true },
    );
    element.currentTime = 1e9;
  };
  return html`<div class="hear-player">
    <audio
      ref=${audio}
      src=${url}
      controls=${!failed}
      preload="metadata"
      aria-label=${`Recording ${file.name}`}
      onLoadedMetadata=${known}
      onDurationChange=${known}
      onError=${() => setFailed(true)}
    ></audio>
    ${failed && html`<${Note} kind="warn">This browser can't play this file. The server may still understand it.</${Note}>`}
  </div>`;
}
