/** Play, pause, and where it is: for a player of players.js. */
import { IconButton } from "../../components/button.js";
import { html } from "../../lib.js";
import { position } from "../transcription/timing.js";

export function Transport({ player }) {
  const playing = player.playing.value;
  const at = player.position.value;
  const all = player.duration.value;
  const complete = player.complete.value;
  return html`<div class="say-transport" data-playing=${String(playing)} data-complete=${String(complete)}>
    <${IconButton}
      kind="main"
      label=${playing ? "Pause" : "Play"}
      icon=${playing ? "pause" : "play"}
      disabled=${!all}
      onClick=${() => (playing ? player.pause() : player.play())}
    />
    <input
      type="range"
      min="0"
      max=${all || 1}
      step="0.01"
      value=${Math.min(at, all)}
      disabled=${!all}
      aria-label="Position"
      aria-valuetext=${`${position(at)} of ${position(all)}`}
      onInput=${(event) => player.seek(event.currentTarget.valueAsNumber)}
    />
    <span class="say-time">${position(at)} / ${position(all)}${complete ? "" : " …"}</span>
  </div>`;
}
