/** Icons: 24 × 24 lines in the text's colour. They say nothing to a screen reader; the control that has one has a name. */
import { html } from "../lib.js";

const PATHS = {
  key: "M8 20a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm3.2-7.7L20 3.5m-3.5 3.5 3 3m-6 0 2 2",
  sun: "M12 4V2m0 20v-2m8-8h2M2 12h2m13.7-5.7 1.4-1.4M4.9 19.1l1.4-1.4m0-11.4L4.9 4.9m14.2 14.2-1.4-1.4M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Z",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5Z",
  system: "M4 5h16v11H4zM9 20h6m-3-4v4",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "m5 12.5 4.5 4.5L19 7.5",
  close: "m6 6 12 12M18 6 6 18",
  send: "M12 19V5m-6 6 6-6 6 6",
  stop: "M7 7h10v10H7z",
  play: "M8 5v14l11-7z",
  again: "M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4",
  edit: "m14.5 5.5 4 4L8 20H4v-4ZM12.5 7.5l4 4",
  trash: "M5 7h14M10 7V4h4v3m-7 0 1 13h8l1-13m-7 4v5m4-5v5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  left: "m14 6-6 6 6 6",
  right: "m10 6 6 6-6 6",
  down: "m6 9 6 6 6-6",
  up: "m6 15 6-6 6 6",
  download: "M12 4v11m-5-5 5 5 5-5M5 20h14",
  upload: "M12 16V5M7 10l5-5 5 5M5 20h14",
  image: "M4 5h16v14H4zm0 11 5-5 4 4 3-3 4 4M15 9h.01",
  mic: "M12 15a3 3 0 0 0 3-3V6a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3Zm-6-3a6 6 0 0 0 12 0m-6 6v3",
  sound: "M5 10v4h3l4 4V6l-4 4Zm10-1a4 4 0 0 1 0 6m2.5-8.5a8 8 0 0 1 0 11",
  tool: "M14 7a4 4 0 0 1 5-3l-2.5 2.5 1 1L20 5a4 4 0 0 1-5 5l-8 8-2-2 8-8a4 4 0 0 1 1-1",
  branch: "M7 4v10m0 0a3 3 0 1 0 0 6 3 3 0 0 0 0-6Zm10-10a3 3 0 1 0 0 6 3 3 0 0 0 0-6Zm0 6c0 4-4 5-8 6",
  columns: "M4 5h16v14H4zm8 0v14",
  settings: "M4 7h10m4 0h2M4 17h2m4 0h10M16 5v4M8 15v4",
  code: "m8 7-5 5 5 5m8-10 5 5-5 5",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  warning: "M12 4 2.5 20h19ZM12 10v4m0 3h.01",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-10v5m0-8h.01",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4 4",
  file: "M6 3h8l4 4v14H6zm8 0v4h4",
  menu: "M4 7h16M4 12h16M4 17h16",
  brush: "M20 4c-6 2-10 6-12 9l3 3c3-2 7-6 9-12ZM8 14c-3 0-2 4-5 5 3 2 8 1 8-2",
  lock: "M6 11h12v9H6zm2 0V8a4 4 0 0 1 8 0v3",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1m2 4a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
};

/** @param {{name: keyof typeof PATHS, size?: number}} props */
export function Icon({ name, size = 18 }) {
  return html`<svg class="icon" viewBox="0 0 24 24" width=${size} height=${size} aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>`;
}
