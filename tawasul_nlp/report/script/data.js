// The page's data. A row of the table is a number; what is known of it stands in columns. Cases are those rows whose
// text the page holds.
const data = JSON.parse(document.getElementById("data").textContent);
const DIMENSIONS = ["agency", "topic", "kind", "urgency", "governorate", "town", "block", "routed"];
const UNKNOWN = -1, DAY_LENGTH = 86400000;

async function unpacked([type, text]) {
  const packed = atob(text), bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at += 1) bytes[at] = packed.charCodeAt(at);
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const numbers = { i1: Int8Array, i2: Int16Array, i4: Int32Array }[type];
  return new numbers(await new Response(plain).arrayBuffer());
}

if (typeof DecompressionStream === "undefined") {
  document.getElementById("outdated").hidden = false;
  throw new Error("this browser cannot unpack the page's data");
}
const column = Object.fromEntries(await Promise.all(
  Object.entries(data.columns).map(async ([name, packed]) => [name, await unpacked(packed)])));
for (const dimension of DIMENSIONS) column[dimension] ??= new Int8Array(data.rows).fill(UNKNOWN);

const cases = data.cases.map(([row, id, text, reasons, otherTopics, place, number, group]) =>
  ({ row, id, text, reasons, otherTopics, place, number, group }));
const caseOfRow = new Map(cases.map((one) => [one.row, one]));
const holdsAll = cases.length === data.rows;
const has = Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, data.names[dimension].length > 0]));

// The rows of each incident, one after the other: those of incident i are rowsByIncident[startOf[i]] up to the next's start.
const startOf = new Int32Array(data.incidentCount + 1);
for (const incident of column.incident) startOf[incident + 1] += 1;
for (let at = 0; at < data.incidentCount; at += 1) startOf[at + 1] += startOf[at];
const rowsByIncident = new Int32Array(data.rows), placed = startOf.slice();
column.incident.forEach((incident, row) => { rowsByIncident[placed[incident]] = row; placed[incident] += 1; });
const reportsOf = (incident) => rowsByIncident.subarray(startOf[incident], startOf[incident + 1]);
const sizeOf = (incident) => startOf[incident + 1] - startOf[incident];

// The rows of each recurring problem: all of its topic at its place.
const problems = ["block", "town"].flatMap((place) => data.recurring[place].shown.map((one) => ({ ...one, dimension: place, rows: [] })));
const problemOf = new Map(problems.map((one) => [`${one.dimension} ${one.place} ${one.topic}`, one]));
for (const dimension of problems.length ? ["block", "town"] : []) {
  const wanted = new Set(problems.filter((one) => one.dimension === dimension).map((one) => one.topic));
  column[dimension].forEach((place, row) => {
    if (wanted.has(column.topic[row])) problemOf.get(`${dimension} ${place} ${column.topic[row]}`)?.rows.push(row);
  });
}

// Days are counted from the table's first.
const firstDay = data.first ? Date.parse(data.first) / DAY_LENGTH : 0;
const lastDay = data.last ? Date.parse(data.last) / DAY_LENGTH - firstDay : UNKNOWN;
const dateOf = (day) => new Date((firstDay + day) * DAY_LENGTH).toISOString().slice(0, 10);
const dayOf = (date) => Date.parse(date) / DAY_LENGTH - firstDay;
