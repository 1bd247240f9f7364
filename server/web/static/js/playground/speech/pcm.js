/** Samples out of bytes that come in pieces: 16 bits, little endian, one channel, bare (pcm) or behind a header (wav). */

/** Of the API's bare samples. */
export const RATE = 24_000;
const HEADER = 44;

export class PcmReader {
  #rest = new Uint8Array(0);
  #head;

  /** wav: whether a header comes first; it is the one that the server writes, 44 bytes. */
  constructor(wav = false) {
    this.#head = wav ? HEADER : 0;
    this.rate = RATE;
  }

  /** @param {Uint8Array} bytes @returns {Float32Array} the samples that are whole now, from -1 to 1 */
  push(bytes) {
    let all = joined([this.#rest, bytes]);
    if (this.#head) {
      if (all.length < this.#head) {
        this.#rest = all;
        return new Float32Array(0);
      }
      this.rate = new DataView(all.buffer).getUint32(24, true);
      all = all.slice(this.#head);
      this.#head = 0;
    }
    const whole = all.length - (all.length % 2);
    this.#rest = all.slice(whole);
    const view = new DataView(all.buffer, all.byteOffset, whole);
    return Float32Array.from({ length: whole / 2 }, (_, at) => view.getInt16(at * 2, true) / 32_768);
  }
}

/** One array of several. */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The bytes of base64. */
export function decoded(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
