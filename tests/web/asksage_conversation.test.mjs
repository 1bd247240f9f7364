/** The body that a question makes of the turns before it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { request } from "../../server/web/static/js/playground/asksage/conversation.js";
import { turns } from "../../server/web/static/js/playground/asksage/state.js";

test("a question is asked after what was answered, and the last one again as it was", () => {
  turns.value = [
    { id: 1, question: "Who?", text: "She.", state: "done" },
    { id: 2, question: "Why?", text: "So.", state: "done" },
  ];
  const said = (body) => body.message.map(({ message }) => message);
  assert.deepEqual(said(request("When?", "m")), ["Who?", "She.", "Why?", "So.", "When?"]);
  assert.deepEqual(said(request("Why?", "m", turns.value.slice(0, -1))), ["Who?", "She.", "Why?"]);
});
