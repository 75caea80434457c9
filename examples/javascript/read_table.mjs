// Read stored tables with Arrow JavaScript, and print what is in them: one line of JSON for each file.
//
//     npm ci --prefix examples/javascript        # once: apache-arrow
//     node examples/javascript/read_table.mjs "$COLONNADE_STORE/nyc/flights.arrow"
//
// Node 20 or newer.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { DataType, StructRow, Vector, tableFromIPC } from "apache-arrow";

// Times count as the whole numbers they are stored as: as milliseconds, which `get` gives, some lose digits.
const isRaw = (type) => DataType.isTimestamp(type) || DataType.isDate(type) || DataType.isTime(type);

/** A decimal's 32-bit words, the least first, as a whole number. */
const unscaled = (words) =>
  BigInt.asIntN(32 * words.length, words.reduceRight((high, word) => (high << 32n) | BigInt(word), 0n));

/** Everything in a column, and in the lists and structs of it, that is not null. */
function* leaves(value) {
  if (value === null) return;
  if (value instanceof Vector) for (const item of value) yield* leaves(item);
  else if (value instanceof StructRow) for (const [, item] of value) yield* leaves(item);
  else yield value;
}

/** A column's values; a stored table is one batch. */
function* valuesOf(column) {
  const [data] = column.data;
  for (let row = 0; row < column.length; row++) {
    if (!column.isValid(row)) continue;
    if (isRaw(column.type)) yield data.values[row];
    else if (DataType.isDecimal(column.type)) yield unscaled(column.get(row));
    else yield* leaves(column.get(row));
  }
}

const holdsFloats = (type) => DataType.isFloat(type) || (type.children ?? []).some((field) => holdsFloats(field.type));

/** A column's type, how many nulls it has, the sum of its numbers and a digest of its strings. */
function describe(column) {
  const text = createHash("sha256");
  const floats = holdsFloats(column.type);
  let sum = floats ? 0 : 0n;
  for (const value of valuesOf(column)) {
    if (typeof value === "string") text.update(`${value}\n`);
    else sum += floats ? Number(value) : BigInt(value);
  }
  return { type: String(column.type), nulls: column.nullCount, sum: String(sum), text: text.digest("hex") };
}

for (const path of process.argv.slice(2)) {
  const table = tableFromIPC(readFileSync(path));
  const columns = table.schema.fields.map((field, i) => ({ name: field.name, ...describe(table.getChildAt(i)) }));
  console.log(JSON.stringify({ rows: table.numRows, columns }));
}
