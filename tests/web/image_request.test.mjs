// What the Images tab sends, of what its form says; and the code that is shown of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asCurl, asNode, asPython } from "../../server/web/static/js/code/code.js";
import { fileName, formOf, isSize, requestOf, STANDARD } from "../../server/web/static/js/playground/images/request.js";

const said = (settings = {}, rest = {}) => ({
  model: "painter",
  prompt: "a red heart",
  settings: { ...STANDARD, ...settings },
  ...rest,
});

test("a form that says nothing leaves everything to the server", () => {
  assert.deepEqual(requestOf("draw", said()), {
    path: "/v1/images/generations",
    stream: true,
    json: { model: "painter", prompt: "a red heart", stream: true, partial_images: 2 },
  });
});

test("what the form says is sent under the API's names", () => {
  const { json } = requestOf(
    "draw",
    said({
      size: " 64x96 ",
      n: 3,
      quality: "ultra",
      previews: 0,
      seed: 0,
      steps: 9,
      guidance: 0,
      negative: " text ",
      background: "opaque",
      format: "jpeg",
      compression: 80,
      strength: 0.5,
      fidelity: "high",
    }),
  );
  assert.deepEqual(json, {
    model: "painter",
    prompt: "a red heart",
    n: 3,
    size: "64x96",
    quality: "ultra",
    seed: 0,
    steps: 9,
    guidance: 0,
    negative_prompt: "text",
    background: "opaque",
    output_format: "jpeg",
    output_compression: 80,
    stream: true,
  });
});

test("an edit is a form with its files; only it has a mask and a closeness", () => {
  const files = { picture: "picture.png", mask: "mask.png" };
  const { form } = requestOf("edit", said({ strength: 0.5, fidelity: "high", compression: 3 }, { files }));
  assert.deepEqual(form, [
    ["model", "painter"],
    ["image", { file: "picture.png" }],
    ["mask", { file: "mask.png" }],
    ["prompt", "a red heart"],
    ["strength", 0.5],
    ["input_fidelity", "high"],
    ["stream", true],
    ["partial_images", 2],
  ]);
});

test("a variation has no prompt and no stream, which the SDKs don't know of it", () => {
  const request = requestOf(
    "vary",
    said({ background: "opaque", fidelity: "high" }, { files: { picture: "picture.jpg" } }),
  );
  assert.equal(request.stream, false);
  assert.deepEqual(request.form, [
    ["model", "painter"],
    ["image", { file: "picture.jpg" }],
    ["response_format", "b64_json"],
  ]);
});

test("the form that is sent holds the files' bytes, and text for all else", async () => {
  const request = requestOf("edit", said({ n: 2 }, { files: { picture: "picture.png" } }));
  const form = formOf(request, { "picture.png": new Blob(["bytes"], { type: "image/png" }) });
  assert.equal(form.get("n"), "2");
  assert.equal(form.get("stream"), "true");
  assert.equal(form.get("image").name, "picture.png");
  assert.equal(await form.get("image").text(), "bytes");
});

test("the code says what the page sends, and keeps several pictures apart", () => {
  const request = requestOf("draw", said({ n: 2, seed: 7, format: "webp" }));
  assert.match(asCurl(request), /"partial_images": 2/);
  assert.match(asPython(request), /extra_body=\{\n\s+"seed": 7,\n\s+\}/);
  assert.match(asPython(request), /f"image-\{event\.index\}\.webp"/);
  assert.match(asNode(request), /`image-\$\{event\.index\}\.webp`/);
  const one = requestOf("draw", said());
  assert.match(asPython(one), /open\("image\.png", "wb"\)/);
  assert.match(asNode(one), /writeFile\("image\.png"/);
  const edit = asPython(requestOf("edit", said({}, { files: { picture: "picture.png", mask: "mask.png" } })));
  assert.match(edit, /client\.images\.edit\(/);
  assert.match(edit, /mask=open\("mask\.png", "rb"\),/);
  assert.match(edit, /stream=True,/);
});

test("a file's name is of letters that every disk takes", () => {
  assert.equal(fileName({ prompt: "A Réd <b>heart</b>/../x", seed: 3, format: "png" }), "a-re-d-b-heart-b-x-3.png");
  assert.equal(fileName({ prompt: "", seed: null, format: "jpeg" }), "picture.jpg");
  assert.equal(fileName({ prompt: "猫", seed: 0, format: "webp" }), "picture-0.webp");
  assert.ok(fileName({ prompt: "word ".repeat(50), seed: 1, format: "png" }).length < 50);
});

test("a size is auto, or a width and a height", () => {
  assert.deepEqual(["auto", "64x64", " 1024x1536 "].map(isSize), [true, true, true]);
  assert.deepEqual(["", "64", "64 x 64", "0x64", "64x", "123456x1"].map(isSize), Array(6).fill(false));
});
