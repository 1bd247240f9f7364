/** What of a section is open: the part of the URL's # behind the section's name, as in #accounts/acct_1. */
import { signal } from "../lib.js";

const read = () => location.hash.slice(1).split("/").slice(1).join("/");

export const within = signal(read());

addEventListener("hashchange", () => {
  within.value = read();
});
