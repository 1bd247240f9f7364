/** Plays samples while they still come, and compressed files once they are whole, by Web Audio. */
import { signal } from "../../lib.js";
import { joined, PcmReader } from "./pcm.js";

/** Seconds that what comes is scheduled ahead of its sound, so that the next piece is in time. */
const LEAD = 0.08;
const TICK = 60;

/**
 * A player: see players.js. What has come lies in `pieces`, each with the second that it begins at; a piece is scheduled at
 * `origin` and that second. Where a piece comes too late, all that follows moves back.
 */
class BufferPlayer {
  #pieces = [];
  #sources = new Set();
  #origin = 0;
  #timer = 0;
  #onSound;

  constructor(onSound) {
    this.#onSound = onSound;
    this.context = new AudioContext();
    this.position = signal(0);
    this.duration = signal(0);
    this.playing = signal(false);
    this.complete = signal(false);
    this.broken = signal(false);
    // It begins with the first piece.
    this.waiting = true;
  }

  /** Take an AudioBuffer that follows what is there. */
  add(buffer) {
    const piece = { buffer, start: this.duration.value };
    this.#pieces.push(piece);
    this.duration.value = piece.start + buffer.duration;
    if (this.waiting) {
      this.waiting = false;
      this.play();
    } else if (this.playing.value) {
      this.#schedule(piece);
    }
  }

  async play() {
    if (this.playing.value || !this.#pieces.length) return;
    if (this.complete.value && this.position.value >= this.duration.value) this.position.value = 0;
    this.playing.value = true;
    this.#timer = setInterval(() => this.#turn(), TICK);
    this.#from(this.position.value);
    // Where the browser wants a press first, this waits for one.
    await this.context.resume();
    if (this.playing.value) this.#onSound();
  }

  pause() {
    // What has not begun shall not begin by itself any more.
    this.waiting = false;
    if (!this.playing.value) return;
    this.playing.value = false;
    this.#turn();
    clearInterval(this.#timer);
    this.#silence();
  }

  seek(to) {
    this.position.value = Math.min(Math.max(0, to), this.duration.value);
    if (!this.playing.value) return;
    this.#silence();
    this.#from(this.position.value);
  }

  close() {
    this.pause();
    this.context.close();
  }

  #from(position) {
    this.#origin = this.context.currentTime + LEAD - position;
    for (const piece of this.#pieces) {
      if (piece.start + piece.buffer.duration > position) this.#schedule(piece, Math.max(0, position - piece.start));
    }
  }

  #schedule(piece, offset = 0) {
    const now = this.context.currentTime;
    if (this.#origin + piece.start + offset < now) this.#origin = now + LEAD - piece.start - offset;
    const source = this.context.createBufferSource();
    source.buffer = piece.buffer;
    source.connect(this.context.destination);
    source.onended = () => this.#sources.delete(source);
    source.start(this.#origin + piece.start + offset, offset);
    this.#sources.add(source);
  }

  #silence() {
    for (const source of this.#sources) {
      source.onended = null;
      source.stop();
    }
    this.#sources.clear();
  }

  #turn() {
    const at = this.context.currentTime - this.#origin;
    this.position.value = Math.min(Math.max(this.position.value, at), this.duration.value);
    if (this.complete.value && at >= this.duration.value) this.pause();
  }
}

/** Of wav and pcm. */
export class SamplePlayer extends BufferPlayer {
  #reader;

  constructor(format, onSound) {
    super(onSound);
    this.#reader = new PcmReader(format === "wav");
  }

  append(bytes) {
    const samples = this.#reader.push(bytes);
    if (!samples.length) return;
    try {
      const buffer = this.context.createBuffer(1, samples.length, this.#reader.rate);
      buffer.copyToChannel(samples, 0);
      this.add(buffer);
    } catch {
      // A header of a rate that no browser plays: it can still be downloaded.
      this.broken.value = true;
    }
  }

  end() {
    this.complete.value = true;
  }
}

/** Of what this browser can't begin before its end. It knows exactly how long that is, which the browser's own element only
 * guesses of a file that was made as a stream. */
export class WholePlayer extends BufferPlayer {
  #parts = [];

  append(bytes) {
    this.#parts.push(bytes);
  }

  async end() {
    try {
      this.add(await this.context.decodeAudioData(joined(this.#parts).buffer));
    } catch {
      // A file that broke off may be no file at all.
      this.broken.value = true;
    }
    this.complete.value = true;
  }
}
