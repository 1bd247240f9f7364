/** The request for speech. Pure functions. */

/** See code/code.js. model: the one that stands; text: what to say. */
export function requestOf({ voice, format, speed, quality }, model, text) {
  const json = { model, input: text, response_format: format };
  if (voice) json.voice = voice;
  if (speed !== null) json.speed = speed;
  if (quality !== "auto") json.quality = quality;
  return { path: "/v1/audio/speech", json, save: `speech.${format}` };
}

/** What the page sends: the same in events, the last of which says what it cost. */
export function streamedBody(request) {
  return { ...request.json, stream_format: "sse" };
}
