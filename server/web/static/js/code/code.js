/**
 * A request as code that runs as it stands, with the key in the environment variable OPENAI_API_KEY. Pure functions.
 *
 * A request is {method, path, json?, form?, stream?, save?}: form is a list of [name, value], in which a file is
 * {file: "name.wav"}; save names the file that an answer of bytes goes to. What the SDKs have a method for is written by it,
 * and fields that the method does not know go into `extra_body`.
 */
import { BASE } from "../http.js";
import { asNodeSdk } from "./node.js";
import { asPythonSdk } from "./python.js";
import { jsonOf, shellWord } from "./text.js";

const LONGEST_ARGUMENT = 128 * 1024;
/** Bytes of UTF-8, at most, of a character as JavaScript counts them. */
const LONGEST_CHARACTER = 3;

/** A file's name as -F takes it: quoted where it holds what ends a name there. */
function curlFile(name) {
  return /[;,"\\]/.test(name) ? `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"` : name;
}

export function asCurl({ method = "POST", path, json, form, stream = false, save }) {
  const lines = [
    `curl ${stream ? "-N " : ""}${method === "POST" ? "" : `-X ${method} `}${shellWord(BASE + path.replace(/^\//, ""))}`,
  ];
  lines.push('-H "Authorization: Bearer $OPENAI_API_KEY"');
  const body = json === undefined ? "" : jsonOf(json, 2);
  // Linux takes no argument of more than 128 KiB, which a picture is soon.
  const long = body.length * LONGEST_CHARACTER > LONGEST_ARGUMENT;
  if (json !== undefined) {
    lines.push('-H "Content-Type: application/json"', long ? "--data-binary @-" : `-d ${shellWord(body)}`);
  }
  for (const [name, value] of form ?? []) {
    // --form-string takes a value as it is, where -F would read a file for one that begins with @ or <.
    const isFile = typeof value === "object";
    lines.push(
      isFile ? `-F ${shellWord(`${name}=@${curlFile(value.file)}`)}` : `--form-string ${shellWord(`${name}=${value}`)}`,
    );
  }
  if (save) lines.push(`-o ${shellWord(save)}`);
  const command = lines.join(" \\\n  ");
  // No line of laid out JSON is this word: a text in it has quotes.
  return long ? `${command} <<'END_OF_REQUEST'\n${body}\nEND_OF_REQUEST` : command;
}

export const asPython = (request) => asPythonSdk(request, BASE);
export const asNode = (request) => asNodeSdk(request, BASE);
