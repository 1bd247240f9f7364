/** Plays a compressed file while it still comes, by the browser's own element and Media Source Extensions. */
import { signal } from "../../lib.js";
import { TYPES } from "./formats.js";

/** A player: see players.js. */
export class FilePlayer {
  #parts = [];
  #queue = [];
  #buffer = null;
  #source = null;
  #type;
  #url = "";
  // Whether it shall sound: what was paused does not begin by itself once all of it is there.
  #wanted = true;

  constructor(format, onSound) {
    this.#type = TYPES[format];
    this.position = signal(0);
    this.duration = signal(0);
    this.playing = signal(false);
    this.complete = signal(false);
    this.broken = signal(false);
    this.element = new Audio();
    const { element } = this;
    for (const name of ["timeupdate", "seeked", "durationchange", "progress", "ended"]) {
      element.addEventListener(name, () => this.#turn());
    }
    element.addEventListener("playing", () => onSound());
    element.addEventListener("play", () => {
      this.playing.value = true;
    });
    for (const name of ["pause", "ended"]) {
      element.addEventListener(name, () => {
        this.playing.value = false;
      });
    }
    element.addEventListener("error", () => {
      // Without a source it was closed.
      if (element.getAttribute("src")) this.#giveUp();
    });
    this.#open();
  }

  #open() {
    this.#source = new MediaSource();
    this.#source.addEventListener("sourceopen", () => {
      if (!this.#source || this.#buffer) return;
      this.#buffer = this.#source.addSourceBuffer(this.#type);
      this.#buffer.addEventListener("updateend", () => this.#feed());
      this.#feed();
    });
    this.#load(this.#source);
    this.play();
  }

  #load(content) {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(content);
    this.element.src = this.#url;
  }

  append(bytes) {
    this.#parts.push(bytes);
    this.#queue.push(bytes);
    this.#feed();
  }

  end() {
    this.complete.value = true;
    if (this.#source) this.#feed();
    else this.#whole();
  }

  /** One piece at a time is all that the browser takes. */
  #feed() {
    if (!this.#buffer || this.#buffer.updating || this.#source?.readyState !== "open") return;
    const next = this.#queue.shift();
    try {
      if (next) this.#buffer.appendBuffer(next);
      else if (this.complete.value) this.#source.endOfStream();
    } catch {
      // It takes no more, or does not understand it: then the whole file is played when it is there.
      this.#giveUp();
    }
    this.#turn();
  }

  #giveUp() {
    if (!this.#source) {
      this.broken.value = true;
      this.playing.value = false;
      return;
    }
    this.#source = null;
    this.#buffer = null;
    this.element.pause();
    if (this.complete.value) this.#whole();
  }

  #whole() {
    const at = this.element.currentTime;
    this.#load(new Blob(this.#parts, { type: this.#type }));
    this.element.currentTime = at;
    if (this.#wanted) this.play();
  }

  async play() {
    this.#wanted = true;
    try {
      await this.element.play();
    } catch {
      // It was paused or closed before it began, or the browser wants a press first.
      this.playing.value = !this.element.paused;
    }
  }

  pause() {
    this.#wanted = false;
    this.element.pause();
  }

  seek(to) {
    this.element.currentTime = Math.min(Math.max(0, to), this.duration.value);
    this.position.value = this.element.currentTime;
  }

  close() {
    this.#source = null;
    this.#buffer = null;
    this.element.pause();
    this.element.removeAttribute("src");
    this.element.load();
    URL.revokeObjectURL(this.#url);
  }

  #turn() {
    const { element } = this;
    this.position.value = element.currentTime;
    const { buffered } = element;
    const known = Number.isFinite(element.duration) ? element.duration : 0;
    this.duration.value = Math.max(known, buffered.length ? buffered.end(buffered.length - 1) : 0);
  }
}
