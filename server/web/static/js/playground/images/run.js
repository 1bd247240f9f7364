/**
 * A run: one request for pictures, from its start to its end. Pure functions; a run is never changed, but replaced.
 *
 * A slot is {state, blob?, partial?, seed?, size?}: `waiting` until its first preview, then `preview`, then `done`.
 */

export function begun({ id, way, model, prompt, settings, at }) {
  return {
    id,
    way,
    model,
    prompt,
    settings,
    began: at,
    state: "running",
    slots: Array.from({ length: settings.n }, () => ({ state: "waiting" })),
    firstAfter: null,
    seconds: null,
    quality: null,
    reason: null,
    requestId: null,
    credits: null,
    error: null,
  };
}

/** An event of the stream, its picture already a blob. at: the time, as of `began`, in milliseconds. */
export function withEvent(run, event, at) {
  const slots = run.slots.with(event.index, {
    ...(event.type.endsWith(".completed")
      ? { state: "done" }
      : { state: "preview", partial: event.partial_image_index + 1 }),
    blob: event.blob,
    seed: event.seed,
    size: event.size,
    format: event.output_format,
  });
  const firstAfter = run.firstAfter ?? (at - run.began) / 1000;
  const usage = event.usage ?? {};
  return {
    ...run,
    slots,
    firstAfter,
    quality: usage.quality ?? run.quality,
    credits: usage.credits ?? run.credits,
  };
}

/** An answer in one piece; blobs: its pictures. */
export function withAnswer(run, answer, blobs, at) {
  return {
    ...run,
    slots: answer.data.map(({ seed }, index) => ({
      state: "done",
      blob: blobs[index],
      seed,
      size: answer.size,
      format: answer.output_format,
    })),
    firstAfter: (at - run.began) / 1000,
    quality: answer.usage.quality ?? null,
    credits: answer.usage.credits ?? null,
  };
}

/** state: done, stopped or failed; then there is an error. What is not done stays as far as it came. */
export function ended(run, state, at, error = null) {
  return { ...run, state, error, seconds: (at - run.began) / 1000 };
}

export function finished(run) {
  return run.slots.filter((slot) => slot.state === "done").length;
}

/** What a screen reader hears of it. */
export function spoken(run) {
  if (!run) return "";
  const all = run.slots.length;
  const done = finished(run);
  if (run.state === "running") return done ? `Picture ${done} of ${all} is ready.` : "Drawing.";
  if (run.state === "stopped") return `Stopped. ${done} of ${all} drawn.`;
  if (run.state === "failed") return "";
  return all === 1 ? "The picture is ready." : `All ${all} pictures are ready.`;
}

/** What the gallery keeps of a picture that is done. */
export function entryOf(run, index) {
  const { blob, seed, size, format } = run.slots[index];
  return {
    id: `${run.id}-${index}`,
    run: run.id,
    at: run.began,
    index,
    blob,
    seed,
    size,
    format,
    way: run.way,
    model: run.model,
    prompt: run.prompt,
    settings: run.settings,
    quality: run.quality,
    seconds: run.seconds,
    credits: run.credits,
    together: run.slots.length,
  };
}

/** Base64 as a blob. */
export function blobOf(base64, format) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: `image/${format}` });
}
