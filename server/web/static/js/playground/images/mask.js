/**
 * A mask: where a picture is to be redrawn, as strokes that can be taken back. Coordinates are pixels of the picture.
 *
 * A stroke is {kind: "brush", size, points: [[x, y], …], erase}, {kind: "rectangle", x, y, width, height, erase}, or
 * {kind: "clear"}, which takes back all before it.
 */

export const NOTHING = { strokes: [], undone: [] };

export function added(mask, stroke) {
  return { strokes: [...mask.strokes, stroke], undone: [] };
}

export function undone(mask) {
  if (!mask.strokes.length) return mask;
  return { strokes: mask.strokes.slice(0, -1), undone: [...mask.undone, mask.strokes.at(-1)] };
}

export function redone(mask) {
  if (!mask.undone.length) return mask;
  return { strokes: [...mask.strokes, mask.undone.at(-1)], undone: mask.undone.slice(0, -1) };
}

/** Those that still count: what stands behind the last `clear`. */
export function standing(mask) {
  const cleared = mask.strokes.findLastIndex((stroke) => stroke.kind === "clear");
  return mask.strokes.slice(cleared + 1);
}

/** Whether nothing is marked. What was marked and erased again counts as marked: only the pixels know. */
export function isEmpty(mask) {
  return !standing(mask).some((stroke) => !stroke.erase);
}

/** A rectangle of numbers that were typed in, cut off at the picture's edge; an Error says what is wrong with them. */
export function rectangle({ x, y, width, height }, size, erase = false) {
  if ([x, y, width, height].some((value) => !Number.isFinite(value))) return new Error("Fill in all four numbers.");
  const left = Math.max(0, Math.round(x));
  const top = Math.max(0, Math.round(y));
  const right = Math.min(size.width, Math.round(x + width));
  const bottom = Math.min(size.height, Math.round(y + height));
  if (right <= left || bottom <= top) {
    return new Error(`The rectangle lies outside the picture, which is ${size.width} × ${size.height} pixels.`);
  }
  return { kind: "rectangle", x: left, y: top, width: right - left, height: bottom - top, erase };
}

/** A brush that suits a picture: a tenth of its shorter side. */
export function brushFor({ width, height }) {
  return Math.max(2, Math.round(Math.min(width, height) / 10));
}

// ---------------------------------------------------------------- on a canvas

/** The strokes as they lie over the picture: coloured where it is redrawn, nothing elsewhere. */
export function paintOver(context, mask, size, colour) {
  context.clearRect(0, 0, size.width, size.height);
  for (const stroke of standing(mask))
    paintStroke(context, stroke, colour, stroke.erase ? "destination-out" : "source-over");
}

/** The mask as the API has it: black, and transparent where the picture is redrawn. */
export function paintMask(context, mask, size) {
  context.globalCompositeOperation = "source-over";
  context.fillStyle = "#000";
  context.fillRect(0, 0, size.width, size.height);
  for (const stroke of standing(mask))
    paintStroke(context, stroke, "#000", stroke.erase ? "source-over" : "destination-out");
}

export function paintStroke(context, stroke, colour, operation) {
  context.globalCompositeOperation = operation;
  context.fillStyle = colour;
  context.strokeStyle = colour;
  if (stroke.kind === "rectangle") {
    context.fillRect(stroke.x, stroke.y, stroke.width, stroke.height);
    return;
  }
  const [first, ...rest] = stroke.points;
  context.beginPath();
  if (!rest.length) {
    context.arc(first[0], first[1], stroke.size / 2, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.lineWidth = stroke.size;
  context.lineCap = "round";
  context.lineJoin = "round";
  context.moveTo(first[0], first[1]);
  for (const [x, y] of rest) context.lineTo(x, y);
  context.stroke();
}
