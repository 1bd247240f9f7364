/**
 * Credits as the server writes them: decimals with up to nine places, which a JavaScript number can't hold. Here they are
 * texts, from the answer to the page and from the field to the request. Pure functions, but for `ask`.
 */
import { send } from "./http.js";

const AMOUNTS = new Set(["balance", "held", "available", "amount", "cost"]);
// Each string of the text as a whole, so that what a note says is never taken for a field; a number that follows one as
// its value comes along.
const STRING_AND_NUMBER = /("[^"\\]*(?:\\.[^"\\]*)*")(?:(\s*:\s*)(-?\d[\d.eE+-]*))?/g;
const SHOWN = /^(-?)(\d+)(?:\.(\d+))?$/;
const TYPED = /^\d{1,12}(?:\.\d{1,9})?$/;

/** JSON in which the values of these fields are texts with all their digits. */
export function parse(text) {
  return JSON.parse(
    text.replace(STRING_AND_NUMBER, (whole, name, colon, digits) =>
      digits !== undefined && AMOUNTS.has(JSON.parse(name)) ? `${name}${colon}"${digits}"` : whole,
    ),
  );
}

/** A request whose answer holds amounts. Options as of http.js. */
export async function ask(method, path, options) {
  return parse(await (await send(method, path, options)).text());
}

/** 1234567.500000001 as 1,234,567.500000001: with all its digits. */
export function shown(amount) {
  const [, sign, whole, places] = SHOWN.exec(amount) ?? [];
  if (whole === undefined) return String(amount);
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return `${sign}${grouped}${places ? `.${places}` : ""}`;
}

/** With its sign also where it is more than nothing: what an entry of the ledger adds or takes. */
export function signed(amount) {
  const text = shown(amount);
  return text.startsWith("-") || isZero(amount) ? text : `+${text}`;
}

export function isZero(amount) {
  return /^-?[0.]*$/.test(amount);
}

/** What somebody typed, as the request has it; null where it is no amount. Spaces around it don't count. */
export function typed(text) {
  const trimmed = text.trim();
  return TYPED.test(trimmed) ? trimmed : null;
}

export const HOW = "Write digits and a point, such as 12.5, with nine places at most.";
