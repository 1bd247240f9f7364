/** Where a batch stands, in words, and what can be done about it. Pure functions of the batch as the API has it. */
import { count, number } from "../../format.js";

const WORDS = {
  validating: "being checked",
  in_progress: "running",
  finalizing: "being finished",
  completed: "done",
  failed: "failed",
  expired: "expired",
  cancelling: "being cancelled",
  cancelled: "cancelled",
};
const KINDS = { completed: "good", failed: "bad", expired: "warn", cancelled: "faint" };
const OVER = ["completed", "failed", "expired", "cancelled"];

/** Whether nothing more will happen to it. */
export const isOver = ({ status }) => OVER.includes(status);

const OPEN = ["validating", "in_progress"];

/** Whether it waits for somebody, or for something. */
export const isPaused = (batch) => Boolean(batch.paused) && OPEN.includes(batch.status);

/** Whether something goes on now. */
export const isMoving = (batch) => !isOver(batch) && !isPaused(batch);

/** Its state in words; one that this page does not know, as the server calls it. */
export function stateWords(batch) {
  if (isPaused(batch)) return "paused";
  return WORDS[batch.status] ?? batch.status.replaceAll("_", " ");
}

/** How a badge shows it. */
export function stateKind(batch) {
  return isPaused(batch) ? "warn" : (KINDS[batch.status] ?? "info");
}

/** {total, done, failed, left}: requests. done: those that have an answer, failed ones among them. */
export function countsOf({ request_counts: counts }) {
  const { total = 0, completed = 0, failed = 0 } = counts ?? {};
  const done = completed + failed;
  return { total, done, failed, left: Math.max(0, total - done) };
}

/** "1,204 of 50,000", and how many of them failed. */
export function progressWords(batch) {
  const { total, done, failed } = countsOf(batch);
  if (!total) return batch.status === "validating" ? "its file is being read" : "no requests";
  return `${number(done)} of ${number(total)}${failed ? `, ${number(failed)} failed` : ""}`;
}

/** What can be done to it now: `pause`, `resume`, `cancel`. */
export function actsOf(batch) {
  const open = OPEN.includes(batch.status);
  return { pause: open && !isPaused(batch), resume: isPaused(batch), cancel: open };
}

const PAUSES = {
  user: ["It was paused by hand.", "Resume it, and it goes on where it stopped. No request of it is lost."],
  insufficient_credits: [
    "The account has run out of credits.",
    "It goes on by itself once there are credits. No request of it is lost.",
  ],
  storage_full: ["The server’s disk is full.", "It goes on by itself once there is room. No request of it is lost."],
  model_unavailable: ["Its model can't answer now.", "It goes on by itself once the model is back."],
};

/** Why it does not run as it should, or how it ended, for a note: {kind, title, text}, or null where there is nothing to say. */
export function noteOf(batch) {
  const { total, left } = countsOf(batch);
  const kept = left < total ? " What was answered until then is in the output." : "";
  if (isPaused(batch)) {
    const [title, text] = PAUSES[batch.paused.reason] ?? [
      "It is paused.",
      "Resume it, and it goes on where it stopped.",
    ];
    return { kind: "warn", title, text };
  }
  if (batch.status === "failed") {
    const wrong = batch.errors?.data ?? [];
    const lines = wrong.some(({ line }) => typeof line === "number");
    return {
      kind: "bad",
      title: lines ? "Its file can't be used." : "It has failed.",
      text: lines
        ? "Nothing of it was sent to a model, and nothing was paid. Correct the lines below, and make a new batch of the file."
        : `The reason stands below.${kept}`,
    };
  }
  if (batch.status === "expired") {
    return {
      kind: "warn",
      title: "Its time ran out.",
      text: `${count(left, "request")} had no answer by then.${kept} Make a new batch of the rest, with more time.`,
    };
  }
  if (batch.status === "cancelled") {
    return { kind: "info", title: "It was cancelled.", text: `${count(left, "request")} got no answer.${kept}` };
  }
  if (batch.status === "cancelling")
    return {
      kind: "info",
      title: "It is being cancelled.",
      text: "What was answered until now will be in the output.",
    };
  return null;
}

/** The milestones that it has passed: [words, seconds since 1970], in their order. */
export function milestones(batch) {
  return [
    ["made", "created_at"],
    ["begun", "in_progress_at"],
    ["cancel asked for", "cancelling_at"],
    ["all answered", "finalizing_at"],
    ["done", "completed_at"],
    ["failed", "failed_at"],
    ["expired", "expired_at"],
    ["cancelled", "cancelled_at"],
  ]
    .filter(([, field]) => batch[field])
    .map(([words, field]) => [words, batch[field]])
    .sort(([, one], [, other]) => one - other);
}

/** Credits that it has cost until now, as the server says; null where it says nothing. */
export function creditsOf({ usage }) {
  return usage?.credits ?? null;
}
