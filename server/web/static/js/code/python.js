/** Requests as Python: by the OpenAI SDK, and by httpx for what it has no method for. */
import { formValues, METHODS, Sent, splitFields } from "./sdk.js";
import { jsonOf } from "./text.js";

const INDENT = "    ";

/** A value of JSON as a Python literal; a file is opened. deep: how far it stands indented. */
export function literal(value, deep = 0) {
  const inner = INDENT.repeat(deep + 1);
  const outer = INDENT.repeat(deep);
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  // JSON's escapes are Python's too, but for surrogates: JSON.stringify writes lone ones as \udXXX, which both read alike.
  if (typeof value === "string") return jsonOf(value);
  if (typeof value === "number") return String(value);
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    if (value.every((one) => typeof one === "number")) return `[${value.join(", ")}]`;
    return `[\n${value.map((one) => `${inner}${literal(one, deep + 1)},\n`).join("")}${outer}]`;
  }
  if (value instanceof Sent) return `open(${jsonOf(value.file)}, "rb")`;
  const entries = Object.entries(value);
  if (!entries.length) return "{}";
  return `{\n${entries.map(([name, one]) => `${inner}${jsonOf(name)}: ${literal(one, deep + 1)},\n`).join("")}${outer}}`;
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export function asPythonSdk(request, base) {
  if (!METHODS[request.path]) return byHttpx(request, base);
  const { method, own, extra } = splitFields(request.path, request.json ?? formValues(request.form));
  const names = Object.entries(own).map(([name, value]) => `${INDENT}${name}=${literal(value, 1)},\n`);
  if (Object.keys(extra).length) names.push(`${INDENT}extra_body=${literal(extra, 1)},\n`);
  const head = `from openai import OpenAI

client = OpenAI(base_url="${base}v1")  # the key is in OPENAI_API_KEY

`;
  const call = (name) => `client.${snake(name)}(\n${names.join("")})`;
  return head + useOf(request, method, call);
}

/** How the answer is used. */
function useOf(request, method, call) {
  const { path, stream, save } = request;
  const json = request.json ?? formValues(request.form ?? []);
  if (path === "/v1/audio/speech") {
    const streaming = call(method.replace(".create", ".withStreamingResponse.create"));
    return `with ${streaming} as speech:\n${INDENT}speech.stream_to_file(${literal(save)})\n`;
  }
  if (path === "/v1/chat/completions") return useOfChat(json, stream, call(method));
  if (path === "/v1/responses") return useOfResponse(json, stream, call(method));
  if (path.startsWith("/v1/images/")) {
    const kind = json.output_format ?? "png";
    if (!stream) {
      return `import base64

answer = ${call(method)}
for number, image in enumerate(answer.data):
    with open(f"image-{number}.${kind}", "wb") as file:
        file.write(base64.b64decode(image.b64_json))
`;
    }
    // Which of several pictures it is, this server's events say; the SDK hands on what it does not know.
    const file = json.n > 1 ? `f"image-{event.index}.${kind}"` : `"image.${kind}"`;
    return `import base64

stream = ${call(method)}
for event in stream:
    if event.type.endswith(".completed"):
        with open(${file}, "wb") as file:
            file.write(base64.b64decode(event.b64_json))
`;
  }
  if (path === "/v1/embeddings") {
    return `answer = ${call(method)}\nfor item in answer.data:\n${INDENT}print(item.index, len(item.embedding), item.embedding[:4])\n`;
  }
  if (stream && path === "/v1/audio/transcriptions") {
    return `stream = ${call(method)}
for event in stream:
    if event.type == "transcript.text.delta":
        print(event.delta, end="", flush=True)
print()
`;
  }
  const plain = ["text", "srt", "vtt"].includes(json.response_format);
  return `answer = ${call(method)}\nprint(${plain ? "answer" : "answer.text"})\n`;
}

/** What is printed of a chat: its text, its calls where there are tools, each of several answers. */
function useOfChat({ tools, n }, stream, call) {
  const several = n > 1;
  if (!stream) {
    if (!tools && !several) return `answer = ${call}\nprint(answer.choices[0].message.content)\n`;
    const calls = tools
      ? `${INDENT}for call in choice.message.tool_calls or []:\n${INDENT.repeat(2)}print(call.function.name, call.function.arguments)\n`
      : "";
    return `answer = ${call}\nfor choice in answer.choices:\n${calls}${INDENT}print(choice.message.content or "")\n`;
  }
  const calls = tools
    ? `
        for call in choice.delta.tool_calls or []:
            print(call.function.name or "", call.function.arguments or "", end="", flush=True)`
    : "";
  if (several) {
    return `stream = ${call}
texts = {}
for chunk in stream:
    for choice in chunk.choices:${calls}
        texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
for index, text in sorted(texts.items()):
    print(index + 1, text)
`;
  }
  return `stream = ${call}
for chunk in stream:
    for choice in chunk.choices:${calls}
        print(choice.delta.content or "", end="", flush=True)
print()
`;
}

/** What is printed of a response: its text, and its calls where there are tools. */
function useOfResponse({ tools }, stream, call) {
  if (!stream) {
    const calls = tools
      ? `for item in answer.output:
    if item.type == "function_call":
        print(item.name, item.arguments)
`
      : "";
    return `answer = ${call}\n${calls}print(answer.output_text)\n`;
  }
  const calls = tools
    ? `
    elif event.type == "response.output_item.done" and event.item.type == "function_call":
        print(event.item.name, event.item.arguments)`
    : "";
  return `stream = ${call}
for event in stream:
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)${calls}
print()
`;
}

/** What the SDK has no method for: by httpx, which the SDK itself is made of. */
function byHttpx({ method = "POST", path, json, form }, base) {
  const lines = [
    `${jsonOf(base + path.replace(/^\//, ""))}`,
    `headers={"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}`,
  ];
  if (json !== undefined) lines.push(`json=${literal(json, 1)}`);
  const parts = (form ?? []).map(([name, value]) => {
    // A field that is no file: without a name.
    const content = typeof value === "object" ? literal(new Sent(value.file)) : `(None, ${literal(String(value))})`;
    return `${INDENT.repeat(2)}(${literal(name)}, ${content}),\n`;
  });
  if (form) lines.push(`files=[\n${parts.join("")}${INDENT}]`);
  lines.push("timeout=600");
  return `import json
import os

import httpx

answer = httpx.${method.toLowerCase()}(
${lines.map((line) => `${INDENT}${line},\n`).join("")})
print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
`;
}
