// Read a segment of a growing table with Arrow JavaScript, again and again, and check every value.
//
//     node growing_files.mjs handle|bytes COUNT FOLDER
//
// `handle` opens the file and lets Arrow read its footer first; `bytes` reads it front to back. Prints how many readings were right,
// how many were wrong or failed, and how many numbers of rows there were.

import { open, readFile, readdir } from "node:fs/promises";
import { RecordBatchReader, Table, tableFromIPC } from "apache-arrow";

const [way, count, folder] = process.argv.slice(2);

async function read(path) {
  if (way === "bytes") return tableFromIPC(await readFile(path));
  const handle = await open(path);
  try {
    const reader = await RecordBatchReader.from(handle);
    await reader.open();
    return new Table(reader.schema, await reader.readAll());
  } finally {
    await handle.close().catch(() => undefined); // the reader may have closed it
  }
}

function check(table, base) {
  const [number, real, flag, text, kind] = ["number", "real", "flag", "text", "kind"].map((name) => table.getChild(name));
  for (let row = 0; row < table.numRows; row++) {
    const n = (base + row) % 8192;
    const isNull = n % 7 === 3;
    const wanted = [
      BigInt(base + row), isNull ? null : n * 0.5, n % 3 === 0, isNull ? null : "ä".repeat(n % 5) + n,
      n % 13 === 1 ? null : `kind ${Math.floor(n / 9) % 60}`,
    ];
    const found = [number.get(row), real.get(row), flag.get(row), text.get(row), kind.get(row)];
    if (found.some((value, i) => value !== wanted[i])) throw new Error(`row ${base + row}: ${found}, not ${wanted}`);
  }
}

let right = 0, wrong = 0, first = "";
const sizes = new Set();
while (right + wrong < Number(count)) {
  const files = (await readdir(folder)).filter((name) => /^\d.*\.arrow$/.test(name)).sort();
  const name = files[files.length - 1];
  try {
    const table = await read(`${folder}/${name}`);
    check(table, Number(name.slice(0, 20)));
    sizes.add(name + table.numRows);
    right++;
  } catch (error) {
    if (error.code === "ENOENT") continue; // retention was faster
    wrong++;
    first ||= String(error).slice(0, 200);
  }
}
console.log(JSON.stringify({ right, wrong, sizes: sizes.size, first }));
