/** How alike vectors are. Pure functions. */

/** The cosine of the angle between two vectors, from -1 to 1; 0 where one of them is nothing but zeros. */
export function cosine(one, other) {
  let product = 0;
  let ownLength = 0;
  let otherLength = 0;
  for (let at = 0; at < one.length; at++) {
    product += one[at] * other[at];
    ownLength += one[at] * one[at];
    otherLength += other[at] * other[at];
  }
  const lengths = Math.sqrt(ownLength * otherLength);
  return lengths === 0 ? 0 : product / lengths;
}

/** Each with each, as rows. It is symmetric, and of ones along its diagonal. */
export function matrixOf(vectors) {
  const rows = vectors.map(() => new Array(vectors.length));
  for (const [row, one] of vectors.entries()) {
    for (let column = row; column < vectors.length; column++) {
      rows[row][column] = rows[column][row] = cosine(one, vectors[column]);
    }
  }
  return rows;
}

/** The two that are most alike and the two that are least, as [row, column, similarity]; null of less than two. */
export function extremes(rows) {
  let most = null;
  let least = null;
  for (let row = 0; row < rows.length; row++) {
    for (let column = row + 1; column < rows.length; column++) {
      const value = rows[row][column];
      if (!most || value > most[2]) most = [row, column, value];
      if (!least || value < least[2]) least = [row, column, value];
    }
  }
  return most && { most, least };
}

export const LEVELS = 10;

/** The step of shading, 0 to LEVELS: the more, the more alike. What is opposed has none. */
export function levelOf(value) {
  return Math.round(Math.min(1, Math.max(0, value)) * LEVELS);
}

/** So many places behind the point, and no sign where they are all zeros. */
export function fixed(value, places) {
  return value.toFixed(places).replace(/^-(?=[0.]*$)/, "");
}

/** Lines of a pasted text that hold anything. */
export function linesOf(text) {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}
