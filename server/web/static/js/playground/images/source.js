/** The picture that an edit or a variation starts from, and what is marked on it. */
import { computed, signal } from "../../lib.js";
import { isEmpty, NOTHING, paintMask } from "./mask.js";

/** {blob, name, width, height, type}, or null. */
export const source = signal(null);
export const mask = signal(NOTHING);
/** Why a file was not taken, or null. */
export const refused = signal(null);

export const KINDS = "image/png,image/jpeg,image/webp,image/gif";
const ENDINGS = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif" };
export const MASK = "mask.png";

/** What the picture is called in the request and in its code: names of files on a disk are nobody's business there. */
export const sourceFile = computed(() => (source.value ? `picture.${ENDINGS[source.value.type] ?? "png"}` : null));
export const maskFile = computed(() => (source.value && !isEmpty(mask.value) ? MASK : null));

/** Start from a picture; its mask begins empty. name: what it is called on the page. */
export async function startFrom(blob, name) {
  refused.value = null;
  if (!(blob.type in ENDINGS)) {
    refused.value = { message: `${name} is not a PNG, JPEG, WebP or GIF picture.` };
    return;
  }
  let size;
  try {
    // Turned upright by what the file says of it, as the server and the browser turn it.
    const bitmap = await createImageBitmap(blob);
    size = { width: bitmap.width, height: bitmap.height };
    bitmap.close();
  } catch {
    refused.value = { message: `${name} can't be read as a picture. The file may be broken.` };
    return;
  }
  source.value = { blob, name, type: blob.type, ...size };
  mask.value = NOTHING;
}

export function leaveSource() {
  source.value = null;
  mask.value = NOTHING;
  refused.value = null;
}

/** The mask as a PNG of the picture's own size. */
export async function maskBlob() {
  const canvas = document.createElement("canvas");
  canvas.width = source.value.width;
  canvas.height = source.value.height;
  paintMask(canvas.getContext("2d"), mask.value, source.value);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
