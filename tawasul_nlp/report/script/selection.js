// Which rows pass the filters, and how many there are of each agency, topic, place, ...

// The search unifies letters that people interchange, and ignores marks.
const folded = (text) => text.toLowerCase().normalize("NFKC").replace(/[\u064b-\u0652\u0640]/g, "")
  .replace(/[أإآٱ]/g, "ا").replace(/ى/g, "ي").replace(/ة/g, "ه").replace(/ؤ/g, "و").replace(/ئ/g, "ي")
  .replace(/[٠-٩]/g, (digit) => digit.charCodeAt(0) - 0x0660);
let searchable = null;

const NAMED = ["agency", "topic", "governorate", "town", "block"];

// All that a case can be found by: what people wrote, and the names of its agency, topic and places in both languages.
function searchedIn(one) {
  const names = NAMED.flatMap((dimension) => column[dimension][one.row] < 0 ? [] : data.names[dimension][column[dimension][one.row]]);
  return folded([one.id, one.text, one.place, ...names].join(" "));
}

// The rows in which the search finds all of its words, in any order: of those whose text the page holds.
function found() {
  const wanted = folded(state.search).split(/\s+/).filter(Boolean);
  if (!wanted.length) return null;
  searchable ??= cases.map(searchedIn);
  const rows = new Uint8Array(data.rows);
  cases.forEach((one, at) => { if (wanted.every((part) => searchable[at].includes(part))) rows[one.row] = 1; });
  return rows;
}

// Returns, for each row, whether it passes; the same without the filter of dates; counts of each dimension; and totals.
function select() {
  const rows = new Uint8Array(data.rows), ofAnyDate = new Uint8Array(data.rows), incidents = new Uint8Array(data.incidentCount);
  const counts = Object.fromEntries(DIMENSIONS.map((dimension) => {
    const codes = data.names[dimension].length + 1;  // the first is for what is not known
    return [dimension, { all: new Int32Array(codes), review: new Int32Array(codes) }];
  }));
  const chosen = Object.entries(state.chosen).map(([dimension, code]) => ({ dimension, code, values: column[dimension] }));
  const from = state.from ? dayOf(state.from) : -Infinity, to = state.to ? dayOf(state.to) : Infinity;
  const spanned = Boolean(state.from || state.to), searched = found();
  const totals = { cases: 0, review: 0, incidents: 0 };
  const count = (dimension, row) => {
    const code = column[dimension][row] + 1;
    counts[dimension].all[code] += 1;
    counts[dimension].review[code] += column.review[row];
  };
  for (let row = 0; row < data.rows; row += 1) {
    if (state.review && !column.review[row]) continue;
    if (state.misrouted && !column.misrouted[row]) continue;
    if (state.incident !== null && column.incident[row] !== state.incident) continue;
    if (searched && !searched[row]) continue;
    // A selection in a chart does not filter that chart itself, so another can be chosen.
    let missed = null, misses = 0;
    for (const one of chosen) {
      if (one.values[row] !== one.code) { missed = one.dimension; misses += 1; }
    }
    const outside = spanned && (column.day[row] < 0 || column.day[row] < from || column.day[row] > to);
    if (misses + outside > 1) continue;
    if (misses) { count(missed, row); continue; }
    ofAnyDate[row] = 1;
    if (outside) continue;
    rows[row] = 1;
    totals.cases += 1;
    totals.review += column.review[row];
    if (!incidents[column.incident[row]]) { incidents[column.incident[row]] = 1; totals.incidents += 1; }
    for (const dimension of DIMENSIONS) count(dimension, row);
  }
  return { rows, ofAnyDate, incidents, counts, totals };
}

// Codes with their cases, the most first; what is not known comes last.
function ranked({ all, review }) {
  return Array.from(all, (cases, at) => ({ code: at - 1, cases, review: review[at] }))
    .filter((one) => one.cases).sort((a, b) => (a.code < 0) - (b.code < 0) || b.cases - a.cases);
}

// The period that the first screen is about, and the one before it: as many days, so both have the same weekdays.
function periods() {
  const last = Math.min(lastDay, state.to ? dayOf(state.to) : lastDay);
  const first = last - state.period + 1;
  return { now: [first, last], before: [first - state.period, first - 1], complete: first - state.period >= 0 };
}

const within = (day, [first, last]) => day >= first && day <= last;

// The earliest report of each incident among the rows; -1 for an incident without one.
function firstReports(rows) {
  const first = new Int32Array(data.incidentCount).fill(-1);
  for (let row = 0; row < data.rows; row += 1) {
    if (!rows[row] || column.day[row] < 0) continue;
    const incident = column.incident[row];
    if (first[incident] < 0 || column.day[row] < column.day[first[incident]]) first[incident] = row;
  }
  return first;
}
