/** Requests as JavaScript for Node.js: by the OpenAI SDK, and by fetch for what it has no method for. */
import { formValues, METHODS, Sent, splitFields } from "./sdk.js";
import { jsonOf } from "./text.js";

/** The name of a property as it is written in an object. */
function property(name) {
  // Any other way to write this one sets the object's prototype, and the property would not be there.
  if (name === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : jsonOf(name);
}

/** A value of JSON as JavaScript; a file is opened. */
function literal(value, deep = 0) {
  const inner = "  ".repeat(deep + 1);
  const outer = "  ".repeat(deep);
  if (Array.isArray(value)) {
    if (value.every((one) => typeof one === "number")) return `[${value.join(", ")}]`;
    return `[\n${value.map((one) => `${inner}${literal(one, deep + 1)},\n`).join("")}${outer}]`;
  }
  if (value !== null && typeof value === "object") {
    if (value instanceof Sent) return `createReadStream(${jsonOf(value.file)})`;
    const entries = Object.entries(value);
    if (!entries.length) return "{}";
    const names = entries.map(([name, one]) => {
      return `${inner}${property(name)}: ${literal(one, deep + 1)},\n`;
    });
    return `{\n${names.join("")}${outer}}`;
  }
  return jsonOf(value ?? null);
}

export function asNodeSdk(request, base) {
  if (!METHODS[request.path]) return byFetch(request, base);
  const values = request.json ?? formValues(request.form);
  // The SDK sends what it does not know as it is, so nothing needs to go elsewhere.
  const { method } = splitFields(request.path, values);
  const imports = ['import OpenAI from "openai";'];
  const files = (request.form ?? []).some(([, value]) => typeof value === "object");
  if (files) imports.unshift('import { createReadStream } from "node:fs";');
  const saves = request.save || request.path.startsWith("/v1/images/");
  if (saves) imports.unshift('import { writeFile } from "node:fs/promises";');
  return `${imports.join("\n")}

const client = new OpenAI({ baseURL: "${base}v1" }); // the key is in OPENAI_API_KEY

${useOf(request, values, `await client.${method}(${literal(values)})`)}`;
}

function useOf({ path, stream, save }, values, call) {
  if (path === "/v1/audio/speech") {
    return `const speech = ${call};\nawait writeFile(${jsonOf(save)}, Buffer.from(await speech.arrayBuffer()));\n`;
  }
  if (path === "/v1/chat/completions") return useOfChat(values, stream, call);
  if (path === "/v1/responses") return useOfResponse(values, stream, call);
  if (path.startsWith("/v1/images/")) {
    const kind = values.output_format ?? "png";
    if (!stream) {
      return `const answer = ${call};
for (const [number, image] of answer.data.entries()) {
  await writeFile(\`image-\${number}.${kind}\`, Buffer.from(image.b64_json, "base64"));
}
`;
    }
    // Which of several pictures it is, this server's events say.
    const file = values.n > 1 ? `\`image-\${event.index}.${kind}\`` : `"image.${kind}"`;
    return `const stream = ${call};
for await (const event of stream) {
  if (event.type.endsWith(".completed")) await writeFile(${file}, Buffer.from(event.b64_json, "base64"));
}
`;
  }
  if (path === "/v1/embeddings") {
    return `const answer = ${call};
for (const item of answer.data) console.log(item.index, item.embedding.length, item.embedding.slice(0, 4));
`;
  }
  if (stream && path === "/v1/audio/transcriptions") {
    return `const stream = ${call};
for await (const event of stream) {
  if (event.type === "transcript.text.delta") process.stdout.write(event.delta);
}
console.log();
`;
  }
  const plain = ["text", "srt", "vtt"].includes(values.response_format);
  return `const answer = ${call};\nconsole.log(${plain ? "answer" : "answer.text"});\n`;
}

/** What is printed of a chat: its text, its calls where there are tools, each of several answers. */
function useOfChat({ tools, n }, stream, call) {
  const several = n > 1;
  if (!stream) {
    if (!tools && !several) return `const answer = ${call};\nconsole.log(answer.choices[0].message.content);\n`;
    const calls = tools
      ? "  for (const call of message.tool_calls ?? []) console.log(call.function.name, call.function.arguments);\n"
      : "";
    return `const answer = ${call};\nfor (const { message } of answer.choices) {\n${calls}  console.log(message.content ?? "");\n}\n`;
  }
  if (!tools && !several) {
    return `const stream = ${call};
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
`;
  }
  const calls = tools
    ? `
    for (const call of delta.tool_calls ?? []) {
      process.stdout.write(\`\${call.function.name ?? ""} \${call.function.arguments ?? ""}\`);
    }`
    : "";
  const text = several
    ? 'texts[index] = (texts[index] ?? "") + (delta.content ?? "");'
    : 'process.stdout.write(delta.content ?? "");';
  return `const stream = ${call};
${several ? "const texts = [];\n" : ""}for await (const { choices } of stream) {
  for (const { ${several ? "index, " : ""}delta } of choices) {${calls}
    ${text}
  }
}
${several ? "texts.forEach((text, index) => console.log(index + 1, text));" : "console.log();"}
`;
}

/** What is printed of a response: its text, and its calls where there are tools. */
function useOfResponse({ tools }, stream, call) {
  if (!stream) {
    const calls = tools
      ? `for (const item of answer.output) {
  if (item.type === "function_call") console.log(item.name, item.arguments);
}
`
      : "";
    return `const answer = ${call};\n${calls}console.log(answer.output_text);\n`;
  }
  const calls = tools
    ? `
  if (event.type === "response.output_item.done" && event.item.type === "function_call") {
    console.log(event.item.name, event.item.arguments);
  }`
    : "";
  return `const stream = ${call};
for await (const event of stream) {
  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);${calls}
}
console.log();
`;
}

/** What the SDK has no method for. */
function byFetch({ method = "POST", path, json, form }, base) {
  const headers = ['Authorization: "Bearer " + process.env.OPENAI_API_KEY'];
  const options = [`method: ${jsonOf(method)}`];
  let head = "";
  if (json !== undefined) {
    headers.push('"Content-Type": "application/json"');
    options.push(`body: JSON.stringify(${literal(json, 1)})`);
  }
  if (form) {
    const lines = form.map(([name, value]) =>
      typeof value === "object"
        ? `form.append(${jsonOf(name)}, await openAsBlob(${jsonOf(value.file)}), ${jsonOf(value.file)});`
        : `form.append(${jsonOf(name)}, ${jsonOf(String(value))});`,
    );
    const files = form.some(([, value]) => typeof value === "object");
    head = `${files ? 'import { openAsBlob } from "node:fs";\n\n' : ""}const form = new FormData();\n${lines.join("\n")}\n\n`;
    options.push("body: form");
  }
  options.splice(1, 0, `headers: { ${headers.join(", ")} }`);
  return `${head}const answer = await fetch(${jsonOf(base + path.replace(/^\//, ""))}, {
${options.map((one) => `  ${one},\n`).join("")}});
console.log(JSON.stringify(await answer.json(), null, 2));
`;
}
