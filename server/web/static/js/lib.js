/** Preact, htm and signals in one place: what every component imports. */
import htm from "../vendor/htm/htm.js";
import { h } from "../vendor/preact/preact.js";

/** Tagged templates that make Preact's elements: html`<b>${text}</b>`. Text is text; nothing is parsed as HTML. */
export const html = htm.bind(h);
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact/hooks.js";
export { Component, createRef, Fragment, render } from "../vendor/preact/preact.js";
export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "../vendor/signals/signals.js";
