/**
 * Texts in a program that somebody copies and pastes: characters that a terminal obeys, or that make a program look like
 * another one, are written as escapes. What the program sends is the same. Pure functions.
 */

/** Control characters but for the line feed, line ends of Unicode, marks of direction, and the byte order mark. */
const OBEYED = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** A value as JSON, which is a literal of Python and JavaScript too. indent: as JSON.stringify has it. */
export function jsonOf(value, indent) {
  // JSON has such characters within its texts only.
  return JSON.stringify(value, null, indent).replace(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A text as one word of a shell. */
export function shellWord(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (text.search(OBEYED) < 0) return `'${text.replaceAll("'", `'\\''`)}'`;
  // bash and zsh have this form, and POSIX since 2024. A shell that one types into looks for ! here.
  const inside = text.replace(/[\\'!]/g, octal).replace(OBEYED, octal);
  return `$'${inside}'`;
}

/** The bytes of a character, as \ooo each. */
function octal(character) {
  return Array.from(new TextEncoder().encode(character), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
