// All cases that pass, as a table that draws only the rows in sight.
const BEYOND = 8, PRINTED = 100;
const COLLATOR = { ar: new Intl.Collator("ar", { numeric: true }), en: new Intl.Collator("en", { numeric: true }) };
let listed = [], scrolled = 0;
const inSight = new Map();

const byName = (dimension) => (row) => column[dimension][row] < 0 ? "" : name(dimension, column[dimension][row]);
// Sorted by one, the largest values come first, and names from their beginning.
const COLUMNS = [
  { key: "day", word: "date", value: (row) => column.day[row], cell: dayCell, when: () => data.dated },
  { key: "id", word: "caseId", first: "up", value: (row) => caseOfRow.get(row).id, cell: (one) => one.id, when: () => !data.dated },
  { key: "urgency", word: "urgency", value: (row) => -urgencyRank(row), cell: (one) => urgencyBadge(one.row), when: () => has.urgency },
  { key: "text", word: "text", cell: textCell },
  { key: "topic", word: "topic", first: "up", value: byName("topic"), cell: (one) => name("topic", column.topic[one.row]) },
  { key: "agency", word: "agency", first: "up", value: byName("agency"), cell: (one) => name("agency", column.agency[one.row]) },
  { key: "routed", word: "routed", first: "up", value: byName("routed"), cell: (one) => column.routed[one.row] < 0 ? "–" : name("routed", column.routed[one.row]), when: () => has.routed },
  { key: "place", word: "place", first: "up", value: placeName, cell: (one) => placeName(one.row) || "–", when: () => has.governorate || has.town || has.block },
  { key: "percent", word: "certainty", value: (row) => column.percent[row], cell: certaintyCell },
  { key: "reports", word: "reportsColumn", value: (row) => sizeOf(column.incident[row]), cell: (one) => number(sizeOf(column.incident[one.row])), when: () => data.grouped },
];
const columnsShown = COLUMNS.filter((one) => !one.when || one.when());

function dayCell(one) {
  const made = element("span", "", column.day[one.row] < 0 ? "–" : dateOf(column.day[one.row]));
  made.append(element("span", "quiet id", one.id));
  return made;
}

const IN_LINE = ["urgency", "day", "topic", "place"];

function textCell(one) {
  const made = button("open", "", () => openCase(one)), text = element("span", "text", one.text);
  text.dir = "auto";
  // On a phone the other columns are hidden, and this line has what matters of them, and what it is sorted by.
  const facts = [urgencyBadge(one.row), dateName(one.row), name("topic", column.topic[one.row]), placeName(one.row)];
  const by = sorting()?.by, value = by?.cell(one);
  if (by && !IN_LINE.includes(by.key)) facts.unshift(fact(word(by.word), value.textContent ?? value));
  const below = element("span", "line");
  below.append(...facts.filter(Boolean).flatMap((fact, at) => at ? [" · ", fact] : [fact]));
  made.append(text, below);
  return made;
}

function certaintyCell(one) {
  return element("span", column.review[one.row] ? "doubt" : "", `${column.percent[one.row]}%`);
}

function sorting() {
  const [key, direction] = (state.sort || (data.dated ? "day" : "")).split(".");
  const by = columnsShown.find((one) => one.key === key && one.value);
  return by ? { by, down: (direction ?? by.first ?? "down") === "down" } : null;
}

function sortCases(rows) {
  const order = sorting();
  if (!order) return rows;
  const values = new Map(rows.map((one) => [one, order.by.value(one.row)]));
  const { compare } = COLLATOR[state.language], sign = order.down ? -1 : 1;
  return rows.sort((a, b) => {
    const [one, other] = [values.get(a), values.get(b)];
    if ((one === "") !== (other === "")) return one === "" ? 1 : -1;  // what is not known comes last
    return sign * (typeof one === "string" ? compare(one, other) : one - other) || a.row - b.row;
  });
}

function drawHead() {
  const order = sorting(), head = element("tr");
  for (const one of columnsShown) {
    const cell = element("th", `c-${one.key}`);
    cell.scope = "col";
    if (one.value) {
      const now = order?.by === one ? (order.down ? "down" : "up") : "";
      const next = now ? `${one.key}.${now === "down" ? "up" : "down"}` : one.key;
      const made = button(now, word(one.word), () => change({ sort: next }));
      made.dataset.choice = `sort ${one.key}`;
      if (now) cell.setAttribute("aria-sort", now === "down" ? "descending" : "ascending");
      cell.append(made);
    } else cell.textContent = word(one.word);
    head.append(cell);
  }
  at("cases").tHead.replaceChildren(head);
}

function drawRow(one, index) {
  const made = element("tr");
  made.setAttribute("aria-rowindex", String(index + 2));
  for (const { key, cell } of columnsShown) {
    const place = element("td", `c-${key}`), inner = element("div", "cell");
    inner.append(cell(one));
    place.append(inner);
    made.append(place);
  }
  return made;
}

function space() {
  const made = element("tr", "space");
  made.setAttribute("aria-hidden", "true");
  made.append(element("td"));
  return made;
}
const above = space(), below = space();

// Rows that stay in sight are left where they are, so that none loses the keyboard's focus.
function drawInSight(whole = false) {
  const body = at("cases").tBodies[0], { rowHeight, tableHeight } = sizes;
  const first = whole ? 0 : Math.max(0, Math.floor(scrolled / rowHeight) - BEYOND);
  const last = whole ? PRINTED : Math.ceil((scrolled + tableHeight) / rowHeight) + BEYOND;
  const wanted = new Set(listed.slice(first, last));
  for (const [one, row] of inSight) if (!wanted.has(one)) { row.remove(); inSight.delete(one); }
  let next = above.nextSibling, index = first;
  for (const one of wanted) {
    if (!inSight.has(one)) inSight.set(one, body.insertBefore(drawRow(one, index), next));
    else next = inSight.get(one).nextSibling;
    index += 1;
  }
  above.firstChild.style.height = `${whole ? 0 : first * rowHeight}px`;
  below.firstChild.style.height = `${whole ? 0 : (listed.length - index) * rowHeight}px`;
  at("cases-printed").textContent = word("listNote", { drawn: number(wanted.size), shown: number(listed.length) });
}

// Those that pass; or the list that was asked for, in its order as long as nobody sorts.
function listedCases(rows) {
  if (!state.list) return sortCases(cases.filter((one) => rows[one.row]));
  const { urgent } = urgentNow(selection, periods()), found = urgent.map((row) => caseOfRow.get(row)).filter(Boolean);
  return state.sort ? sortCases(found) : found;
}

function drawTable({ rows, totals }) {
  listed = listedCases(rows);
  inSight.clear();
  at("cases").tBodies[0].replaceChildren(above, below);
  if (scrolled) at("scroller").scrollTop = scrolled = 0;
  at("scroller").hidden = !listed.length;
  at("scroller").setAttribute("aria-label", word("casesTitle"));
  at("cases").setAttribute("aria-rowcount", String(listed.length + 1));
  at("download").disabled = !listed.length;
  drawHead();
  drawInSight();
  const held = { shown: number(listed.length), all: number(totals.cases), texts: number(cases.length), rows: number(data.rows) };
  at("cases-note").textContent = state.list ? word("listUrgent", held) : !listed.length ? nothing(cases.length, data.rows) : word(holdsAll ? "casesNote" : "casesSome", held);
}

// The cases that pass, as a file.
function casesAsCsv() {
  const id = (dimension) => (one) => column[dimension][one.row] < 0 ? "" : data.names[dimension][column[dimension][one.row]][0];
  const fields = {
    id: (one) => one.id,
    date: (one) => column.day[one.row] < 0 ? "" : dateOf(column.day[one.row]),
    text: (one) => one.text,
    ...Object.fromEntries(DIMENSIONS.filter((dimension) => has[dimension]).map((dimension) => [dimension, id(dimension)])),
    topic_name: (one) => name("topic", column.topic[one.row]),
    agency_name: (one) => name("agency", column.agency[one.row]),
    certainty: (one) => (column.percent[one.row] / 100).toFixed(2),
    needs_review: (one) => String(Boolean(column.review[one.row])),
    review_reasons: (one) => one.reasons.map((code) => data.names.reason[code][0]).join("; "),
  };
  if (data.grouped) Object.assign(fields, {
    incident: (one) => one.group, reports: (one) => String(sizeOf(column.incident[one.row])),
  });
  return asCsv(fields, listed);
}
