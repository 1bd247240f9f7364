/** A transcript as files, as the server writes them: tests/api/test_transcripts.py holds the server to the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { asSrt, asText, asVtt, clock } from "../../server/web/static/js/playground/transcription/subtitles.js";

const SEGMENTS = [
  { start: 0, end: 4.235, text: " One\u00a0\u001ctwo." },
  { start: 4.235, end: 3661.5, text: " a --> b <i> & \n c" },
];

test("srt has numbered blocks, and no arrow within one", () => {
  assert.equal(
    asSrt(SEGMENTS),
    "1\n00:00:00,000 --> 00:00:04,235\nOne two.\n\n2\n00:00:04,235 --> 01:01:01,500\na -> b <i> & c\n\n",
  );
});

test("vtt escapes markup", () => {
  assert.equal(
    asVtt(SEGMENTS),
    "WEBVTT\n\n00:00:00.000 --> 00:00:04.235\nOne two.\n\n00:00:04.235 --> 01:01:01.500\na -> b &lt;i> &amp; c\n\n",
  );
  assert.equal(asVtt([]), "WEBVTT\n\n");
});

test("text ends with its line", () => assert.equal(asText("One two."), "One two.\n"));

test("halves of a millisecond go to the even one, as the server rounds them", () => {
  assert.equal(clock(0.0005, "."), "00:00:00.000");
  assert.equal(clock(0.0015, "."), "00:00:00.002");
  assert.equal(clock(0.0025, "."), "00:00:00.002");
  assert.equal(clock(59.9996, ","), "00:01:00,000");
  assert.equal(clock(359999.999, ","), "99:59:59,999");
});
