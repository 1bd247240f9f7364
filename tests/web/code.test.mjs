/** Requests as code: whatever a user has typed, each program sends just that. Every program here is run, over stand-ins. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { asCurl, asNode, asPython } from "../../server/web/static/js/code/code.js";
import { asResponse } from "../../server/web/static/js/code/responses.js";

const HOSTILE = [
  "plain",
  "",
  " ",
  "it's",
  'say "hi"',
  "'\\''",
  "back\\slash\\",
  "line\nline\r\nline\ttab",
  "$(touch pwned) `touch pwned` \u0024{HOME} $HOME !history",
  '"""; import os; os.abort() #',
  "'''",
  "`\u0024{process.exit(1)}`",
  "\u0000\u0001\u001f\u007f\u0085",
  "\u2028\u2029\ufeff",
  "Grüße 🌍 漢字",
  "</script><!--",
  "@/etc/passwd",
  "<input.txt",
  "-o evil",
  "EOF\nEOF",
  "%s %d {0} {x}",
  "\\u0041\\x41\\N{DASH}",
  // What a terminal obeys when it is pasted: the end of the paste, then a line.
  "it's\u001b[201~\rtouch pwned\r\u009b201~!!\u0003\u0004\\",
  // What makes a program look like another one.
  "\u202e\u2066// \u2069\u200f",
];
const VALUES = [null, true, false, 0, -1.5, 1e21, 1e-7, [], {}, [1, 2.5], [[]], { file: "data.txt" }];

/** Numbers that are the same in each run. */
let seed = 7;
const next = (below) => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  // The low bits of such a generator come round soon.
  return (seed >>> 16) % below;
};
const text = () => HOSTILE[next(HOSTILE.length)];
function value(deep = 0) {
  const kind = next(deep > 3 ? 2 : 4);
  if (kind === 0) return text();
  if (kind === 1) return VALUES[next(VALUES.length)];
  if (kind === 2) return Array.from({ length: next(4) }, () => value(deep + 1));
  // Names of JSON.parse, since an object literal can't have each of them.
  const names = ["a", "a b", "class", "None", "__proto__", "constructor", '"', "1", "é", "x-y"];
  const entries = Array.from({ length: next(4) }, () => [names[next(names.length)], value(deep + 1)]);
  return JSON.parse(`{${entries.map(([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one)}`).join(",")}}`);
}
const plain = (one) => JSON.parse(JSON.stringify(one));

const chats = Array.from({ length: 60 }, (_, at) => ({
  path: "/v1/chat/completions",
  stream: at % 2 === 0,
  json: {
    model: text(),
    messages: [{ role: "user", content: HOSTILE[at % HOSTILE.length] }],
    stream: at % 2 === 0,
    tools: value(),
    quality: text(),
    min_p: 0.1,
    response_format: value(),
    ...(at % 3 ? {} : { n: 2 }),
  },
}));
const responses = chats.map((chat) => asResponse(chat).request);
const others = HOSTILE.flatMap((one) => [
  { path: "/v1/embeddings", json: { model: "m", input: [one, one] } },
  { path: "/v1/audio/speech", json: { model: "m", input: one, voice: one, seed: 3 }, save: "speech.mp3" },
  { path: "/v1/images/generations", json: { model: "m", prompt: one, n: 2, response_format: "b64_json", seed: 1 } },
  { path: "/server/query", json: { message: one, dataset: [one], deep: { [one]: null } } },
]);
const filed = HOSTILE.filter((one) => !one.includes("\u0000")).map((one) => ({
  path: "/v1/audio/transcriptions",
  form: [
    ["file", { file: "a b.wav" }],
    ["model", "m"],
    ["prompt", one],
    ["timestamp_granularities[]", "word"],
    ["timestamp_granularities[]", "segment"],
    ["quality", one],
  ],
}));
const formsOfOthers = HOSTILE.filter((one) => !one.includes("\u0000")).map((one) => ({
  path: "/server/query_with_file",
  form: [
    ["file", { file: "a b.pdf" }],
    ["message", one],
  ],
}));

/** [method, fields, base or address], as the programs in Python called it. */
function byPython(requests) {
  const script = fileURLToPath(new URL("run_code.py", import.meta.url));
  const input = JSON.stringify(requests.map((request) => asPython(request)));
  const output = execFileSync(process.env.PYTHON ?? "python3", [script], { input, maxBuffer: 1 << 28 });
  return JSON.parse(output);
}

/** The same, as the programs in JavaScript called it. */
async function byNode(request) {
  const calls = [];
  const answer = new Proxy(
    {},
    {
      get: (_, name) => {
        if (name === Symbol.asyncIterator) return async function* none() {};
        if (name === "data") return [];
        if (name === "arrayBuffer") return async () => new ArrayBuffer(0);
        if (name === "json") return async () => null;
        return name === "then" ? undefined : [{ message: {} }];
      },
    },
  );
  const dotted = (name) =>
    new Proxy(() => {}, {
      get: (_, part) => dotted(name ? `${name}.${part}` : part),
      apply: (_, __, [fields]) => {
        calls.push([name, fields]);
        return Promise.resolve(answer);
      },
    });
  class OpenAI {
    constructor({ baseURL }) {
      calls.push(baseURL);
      // biome-ignore lint/correctness/noConstructorReturn: the client is whatever its methods are called
      return dotted("");
    }
  }
  const given = {
    OpenAI,
    createReadStream: (file) => ({ file }),
    openAsBlob: async (file) => new Blob([file]),
    writeFile: async () => {},
    fetch: async (address, options) => {
      calls.push([address, options]);
      return answer;
    },
    console: { log() {} },
    process: { env: { OPENAI_API_KEY: "sk-sage-mine" }, stdout: { write() {} } },
  };
  const program = asNode(request).replace(/^import [^\n]* from "[^"\n]*";\n/gm, "");
  const AsyncFunction = (async () => {}).constructor;
  await new AsyncFunction(...Object.keys(given), program)(...Object.values(given));
  return calls;
}

/** The words that curl gets, as bash reads them. */
function byCurl(requests) {
  const head = `curl() { printf '%s\\0' "$@"; printf 'end of one\\0'; }\nOPENAI_API_KEY=sk-sage-mine\n`;
  const output = execFileSync("bash", ["-c", head + requests.map(asCurl).join("\n")], { maxBuffer: 1 << 28 });
  const calls = output.toString().split("end of one\0").slice(0, -1);
  return calls.map((call) => call.split("\0").slice(0, -1));
}

test("Python sends the request, whatever is in it", () => {
  const requests = [...chats, ...responses, ...others];
  for (const [at, [first, call]] of byPython(requests).entries()) {
    const { path, json } = requests[at];
    if (path.startsWith("/server/")) {
      assert.equal(first[0], "post");
      assert.deepEqual(first[1], [`http://localhost${path}`]);
      assert.deepEqual(first[2].json, plain(json));
      assert.equal(first[2].headers.Authorization, "Bearer sk-sage-mine");
      continue;
    }
    assert.equal(first, "http://localhost/v1");
    const { extra_body: extra = {}, ...own } = call[2];
    assert.deepEqual({ ...own, ...extra }, plain(json), asPython(requests[at]));
  }
});

test("JavaScript sends the request, whatever is in it", async () => {
  for (const request of [...chats, ...responses, ...others]) {
    const [first, call] = await byNode(request);
    if (request.path.startsWith("/server/")) {
      assert.equal(first[0], `http://localhost${request.path}`);
      assert.equal(first[1].headers.Authorization, "Bearer sk-sage-mine");
      assert.deepEqual(JSON.parse(first[1].body), plain(request.json));
      continue;
    }
    assert.equal(first, "http://localhost/v1");
    assert.deepEqual(plain(call[1]), plain(request.json), asNode(request));
  }
});

test("curl sends the request, whatever is in it", () => {
  const requests = [...chats, ...responses, ...others];
  for (const [at, words] of byCurl(requests).entries()) {
    assert.ok(words.includes(`http://localhost${requests[at].path}`));
    assert.ok(words.includes("Authorization: Bearer sk-sage-mine"));
    assert.deepEqual(JSON.parse(words[words.indexOf("-d") + 1]), plain(requests[at].json));
    assert.equal(words.includes("-N"), requests[at].stream ?? false);
    assert.equal(words.includes("-o"), requests[at].save !== undefined);
  }
});

test("a body that is too long for an argument is sent too, whatever is in it", () => {
  const long = HOSTILE.filter((one) => !one.includes("\u0000")).join("\nEND_OF_REQUEST\n");
  const json = { model: "m", messages: [{ role: "user", content: long + "x".repeat(200_000) }] };
  const command = asCurl({ path: "/v1/chat/completions", json });
  const script = `curl() { cat; }\n${command}\n`;
  const output = execFileSync("bash", { input: script, maxBuffer: 1 << 28 });
  assert.deepEqual(JSON.parse(output.toString()), json);
  assert.ok(!asCurl({ path: "/v1/chat/completions", json: { model: "m" } }).includes("<<"));
});

test("calls and several answers are printed", () => {
  const json = { model: "m", messages: [], tools: [] };
  for (const stream of [true, false]) {
    for (const write of [asPython, asNode]) {
      const request = { path: "/v1/chat/completions", stream, json };
      assert.match(write(request), /tool_calls/);
      assert.doesNotMatch(write({ ...request, json: { model: "m", messages: [] } }), /tool_calls/);
      assert.match(write({ ...request, json: { ...json, n: 2 } }), stream ? /texts/ : /choices/);
    }
  }
});

test("a response's text is printed, and its calls where there are tools", () => {
  for (const stream of [true, false]) {
    for (const write of [asPython, asNode]) {
      const request = { path: "/v1/responses", stream, json: { model: "m", input: "Hi" } };
      assert.match(write(request), stream ? /response\.output_text\.delta/ : /answer\.output_text/);
      assert.doesNotMatch(write(request), /function_call/);
      assert.match(write({ ...request, json: { ...request.json, tools: [] } }), /function_call/);
    }
  }
});

test("a form's fields are what they are, and its files are files", async () => {
  for (const [at, [, call]] of byPython(filed).entries()) {
    const prompt = filed[at].form[2][1];
    const { extra_body: extra, ...own } = call[2];
    assert.deepEqual(own, {
      file: { file: "a b.wav" },
      model: "m",
      prompt,
      timestamp_granularities: ["word", "segment"],
    });
    assert.deepEqual(extra, { quality: prompt });
    const [, [name, fields]] = await byNode(filed[at]);
    assert.equal(name, "audio.transcriptions.create");
    assert.deepEqual(plain(fields), { ...own, quality: prompt });
  }
  for (const [at, words] of byCurl(filed).entries()) {
    assert.equal(words[words.indexOf("-F") + 1], "file=@a b.wav");
    assert.ok(words.includes(`prompt=${filed[at].form[2][1]}`));
    assert.ok(words.includes("timestamp_granularities[]=segment"));
  }
});

test("a form for what the SDKs have no method for", async () => {
  for (const [at, [call]] of byPython(formsOfOthers).entries()) {
    const message = formsOfOthers[at].form[1][1];
    assert.deepEqual(call[2].files, [
      ["file", { file: "a b.pdf" }],
      ["message", [null, message]],
    ]);
    const [[address, { body }]] = await byNode(formsOfOthers[at]);
    assert.equal(address, "http://localhost/server/query_with_file");
    assert.equal(body.get("file").name, "a b.pdf");
    // A form's lines end in CR LF, which FormData writes when it is sent.
    assert.equal(body.get("message"), message);
  }
});

test("a request without a body has none", async () => {
  const request = { method: "GET", path: "/v1/models" };
  const [[call]] = byPython([request]);
  assert.deepEqual([call[0], call[1], "json" in call[2]], ["get", ["http://localhost/v1/models"], false]);
  const [[, options]] = await byNode(request);
  assert.deepEqual([options.method, "body" in options], ["GET", false]);
  assert.deepEqual(byCurl([request])[0].slice(0, 3), ["-X", "GET", "http://localhost/v1/models"]);
});

test("data that looks like a file is data", async () => {
  const json = { model: "m", messages: [], metadata: { file: "secret.txt" } };
  const request = { path: "/v1/chat/completions", json };
  assert.deepEqual(byPython([request])[0][1][2].metadata, { file: "secret.txt" });
  assert.deepEqual((await byNode(request))[1][1].metadata, { file: "secret.txt" });
});

test("a streamed form asks for a stream by what is true", async () => {
  const form = [
    ["file", { file: "a.wav" }],
    ["model", "m"],
    ["stream", "true"],
  ];
  const request = { path: "/v1/audio/transcriptions", form, stream: true };
  assert.equal(byPython([request])[0][1][2].stream, true);
  assert.equal((await byNode(request))[1][1].stream, true);
});

test("what is tried is hostile enough", () => {
  const all = JSON.stringify(chats);
  for (const sign of ['"__proto__":', '"file":"data.txt"', "touch pwned", "\\u0000"])
    assert.ok(all.includes(sign), sign);
});

test("no program has a key in it", () => {
  for (const write of [asCurl, asPython, asNode]) {
    const code = write({ path: "/v1/embeddings", json: { model: "m", input: "x" } });
    assert.match(code, /OPENAI_API_KEY/);
    assert.doesNotMatch(code, /sk-/);
  }
});

test("no program has a character in it that a terminal obeys, or that hides what it does", () => {
  const files = [{ path: "/v1/audio/transcriptions", form: [["file", { file: "a\u001b[201~\n\rb\u202e.wav" }]] }];
  const long = { path: "/v1/embeddings", json: { model: "m", input: HOSTILE.join("").repeat(500) } };
  for (const request of [...chats, ...responses, ...others, ...filed, ...formsOfOthers, ...files, long]) {
    for (const write of [asCurl, asPython, asNode])
      assert.doesNotMatch(write(request), /(?!\n)[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u);
  }
});
