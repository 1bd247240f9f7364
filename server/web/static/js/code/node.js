/** Requests as JavaScript for Node.js: by the OpenAI SDK, and by fetch for what it has no method for. */
import { formValues, METHODS, splitFields } from "./sdk.js";

/** A value of JSON as JavaScript; {file: name} is the opened file. */
function literal(value, deep = 0) {
  const inner = "  ".repeat(deep + 1);
  const outer = "  ".repeat(deep);
  if (Array.isArray(value)) {
    if (value.every((one) => typeof one === "number")) return `[${value.join(", ")}]`;
    return `[\n${value.map((one) => `${inner}${literal(one, deep + 1)},\n`).join("")}${outer}]`;
  }
  if (value !== null && typeof value === "object") {
    if (typeof value.file === "string" && Object.keys(value).length === 1)
      return `createReadStream(${JSON.stringify(value.file)})`;
    const entries = Object.entries(value);
    if (!entries.length) return "{}";
    const names = entries.map(([name, one]) => {
      const bare = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
      return `${inner}${bare}: ${literal(one, deep + 1)},\n`;
    });
    return `{\n${names.join("")}${outer}}`;
  }
  return JSON.stringify(value ?? null);
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
    return `const speech = ${call};\nawait writeFile(${JSON.stringify(save)}, Buffer.from(await speech.arrayBuffer()));\n`;
  }
  if (path === "/v1/chat/completions") {
    if (!stream) return `const answer = ${call};\nconsole.log(answer.choices[0].message.content);\n`;
    return `const stream = ${call};
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
console.log();
`;
  }
  if (path.startsWith("/v1/images/")) {
    if (!stream) {
      return `const answer = ${call};
for (const [number, image] of answer.data.entries()) {
  await writeFile(\`image-\${number}.png\`, Buffer.from(image.b64_json, "base64"));
}
`;
    }
    return `const stream = ${call};
for await (const event of stream) {
  if (event.type.endsWith(".completed")) await writeFile("image.png", Buffer.from(event.b64_json, "base64"));
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

function byFetch({ method = "POST", path, json }, base) {
  return `const answer = await fetch("${base}${path.replace(/^\//, "")}", {
  method: "${method}",
  headers: { Authorization: \`Bearer \${process.env.OPENAI_API_KEY}\`, "Content-Type": "application/json" },
  body: JSON.stringify(${literal(json)}),
});
console.log(JSON.stringify(await answer.json(), null, 2));
`;
}
