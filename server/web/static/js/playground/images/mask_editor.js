/** The picture with its mask: a brush by pointer, and a rectangle by numbers for whoever uses none. */
import { Button } from "../../components/button.js";
import { Field, NumberField } from "../../components/field.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { added, brushFor, isEmpty, paintOver, paintStroke, rectangle, redone, undone } from "./mask.js";
import { isSmall, save, useUrl } from "./picture.js";
import { leaveSource, MASK, mask, maskBlob, source, sourceFile } from "./source.js";

/** masked: whether something can be marked, or the picture is only shown. */
export function SourceEditor({ masked }) {
  const { width, height, name } = source.value;
  const [brush, setBrush] = useState(0);
  const [erasing, setErasing] = useState(false);
  useEffect(() => setBrush(brushFor(source.value)), [source.value]);
  return html`<div class="mask">
    <div class="card-head">
      <p class="mask-name"><strong>${name}</strong> <span class="hint">${width} × ${height}</span></p>
      <${Button} small kind="quiet" icon="close" onClick=${leaveSource}>Choose another</${Button}>
    </div>
    ${masked && html`<${Tools} brush=${brush} onBrush=${setBrush} erasing=${erasing} onErasing=${setErasing} />`}
    <div class="mask-stage" style=${{ "--mask-shape": width / height, aspectRatio: `${width} / ${height}` }}>
      <${Shown} />
      ${masked && html`<${Canvas} key=${`${name} ${width} ${height}`} brush=${brush} erasing=${erasing} />`}
    </div>
    ${masked && html`<p class="hint" role="status">${isEmpty(mask.value) ? "Nothing is marked: the whole picture is redrawn. Paint over a part to redraw only that." : "The coloured part is redrawn; the rest stays as it is."}</p>`}
    ${masked && html`<${Rectangle} erasing=${erasing} />`}
    <div class="actions start">
      <${Button} small kind="quiet" icon="download" onClick=${() => save(source.value.blob, sourceFile.value)}>${sourceFile.value}</${Button}>
      ${masked && !isEmpty(mask.value) && html`<${Button} small kind="quiet" icon="download" onClick=${async () => save(await maskBlob(), MASK)}>${MASK}</${Button}>`}
      <span class="hint">The files that the code reads.</span>
    </div>
  </div>`;
}

function Shown() {
  const url = useUrl(source.value.blob);
  return (
    url &&
    html`<img class=${isSmall(source.value) ? "small" : undefined} src=${url} alt="The picture to start from" draggable=${false} />`
  );
}

function Tools({ brush, onBrush, erasing, onErasing }) {
  const { strokes, undone: taken } = mask.value;
  const most = Math.max(4, Math.round(Math.min(source.value.width, source.value.height) / 2));
  const change = (next) => () => {
    mask.value = next(mask.value);
  };
  return html`<div class="mask-tools" role="group" aria-label="Mask">
    <div class="actions start">
      <${Button} small icon="brush" aria-pressed=${erasing ? "false" : "true"} onClick=${() => onErasing(false)}>Mark</${Button}>
      <${Button} small icon="minus" aria-pressed=${erasing ? "true" : "false"} onClick=${() => onErasing(true)}>Erase</${Button}>
    </div>
    <${Field} label="Brush">
      ${(own) => html`<input type="range" min="1" max=${most} step="1" value=${brush} onInput=${(event) => onBrush(event.currentTarget.valueAsNumber)} ...${own} />`}
    </${Field}>
    <div class="actions start">
      <${Button} small kind="quiet" icon="left" disabled=${!strokes.length} onClick=${change(undone)}>Undo</${Button}>
      <${Button} small kind="quiet" icon="right" disabled=${!taken.length} onClick=${change(redone)}>Redo</${Button}>
      <${Button} small kind="quiet" icon="close" disabled=${isEmpty(mask.value)} onClick=${change((now) => added(now, { kind: "clear" }))}>Clear</${Button}>
    </div>
  </div>`;
}

/** Two colours in stripes, so that what is marked is seen on a picture of any colour. */
function striped(one, other, { width, height }) {
  const half = Math.max(2, Math.round(Math.min(width, height) / 48));
  const tile = document.createElement("canvas");
  tile.width = tile.height = 2 * half;
  const context = tile.getContext("2d");
  context.fillStyle = one;
  context.fillRect(0, 0, 2 * half, 2 * half);
  context.fillStyle = other;
  for (const corners of [
    [
      [0, half],
      [half, 0],
      [2 * half, 0],
      [0, 2 * half],
    ],
    [
      [half, 2 * half],
      [2 * half, half],
      [2 * half, 2 * half],
    ],
  ]) {
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(x, y);
    context.fill();
  }
  return context.createPattern(tile, "repeat");
}

/** Lies over the picture, as many pixels as it has, and takes the brush. */
function Canvas({ brush, erasing }) {
  const place = useRef(null);
  const ring = useRef(null);
  const stroke = useRef(null);
  const { width, height } = source.value;
  const colour = useRef(null);
  useEffect(() => {
    colour.current ??= striped(
      getComputedStyle(place.current).color,
      getComputedStyle(ring.current).color,
      source.value,
    );
    paintOver(place.current.getContext("2d"), mask.value, source.value, colour.current);
  }, [mask.value]);

  const pointOf = (event) => {
    const box = place.current.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
  };
  const paint = (points) => {
    const operation = erasing ? "destination-out" : "source-over";
    paintStroke(place.current.getContext("2d"), { kind: "brush", size: brush, points }, colour.current, operation);
  };
  const follow = (event) => {
    const box = place.current.getBoundingClientRect();
    Object.assign(ring.current.style, {
      left: `${event.clientX - box.left}px`,
      top: `${event.clientY - box.top}px`,
      width: `${(brush / width) * box.width}px`,
    });
  };
  const down = (event) => {
    if (event.button !== 0) return;
    place.current.setPointerCapture(event.pointerId);
    stroke.current = [pointOf(event)];
    paint(stroke.current);
  };
  const move = (event) => {
    follow(event);
    if (!stroke.current) return;
    stroke.current.push(pointOf(event));
    paint(stroke.current.slice(-2));
  };
  const up = () => {
    if (!stroke.current) return;
    mask.value = added(mask.value, { kind: "brush", size: brush, points: stroke.current, erase: erasing });
    stroke.current = null;
  };
  return html`
    <canvas ref=${place} class=${`mask-canvas${isSmall(source.value) ? " small" : ""}`} width=${width} height=${height} role="img" aria-label="What is marked to be redrawn"
      onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}></canvas>
    <span ref=${ring} class="mask-ring" aria-hidden="true"></span>
  `;
}

/** By numbers: what the brush does with a pointer. */
function Rectangle({ erasing }) {
  const { width, height } = source.value;
  const [box, setBox] = useState({ x: 0, y: 0, width: Math.round(width / 2), height: Math.round(height / 2) });
  const [error, setError] = useState(null);
  const put = () => {
    const made = rectangle(box, source.value, erasing);
    if (made instanceof Error) {
      setError(made);
      return;
    }
    setError(null);
    mask.value = added(mask.value, made);
  };
  const pressed = (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    // Not the form's: it would draw at once.
    event.preventDefault();
    put();
  };
  const field = (name, label, most) =>
    html`<${NumberField} label=${label} min=${0} max=${most} step=${1} value=${box[name]} onValue=${(value) => setBox({ ...box, [name]: value })} />`;
  return html`<details class="fold">
    <summary>A rectangle by numbers</summary>
    <div class="stack">
      <div class="mask-numbers" onKeyDown=${pressed}>
        ${field("x", "From the left", width)} ${field("y", "From the top", height)} ${field("width", "Width", width)} ${field("height", "Height", height)}
      </div>
      ${error && html`<p class="field-error" role="alert">${error.message}</p>`}
      <div class="actions start"><${Button} small onClick=${put}>${erasing ? "Erase the rectangle" : "Mark the rectangle"}</${Button}></div>
    </div>
  </details>`;
}
