// Incidents, problems that come back, and where the routing and the model disagree.
const PAGE = 25, TITLE = 140, REPORTS_SHOWN = 12, MOST_PAIRS = 12;
const FIRST = { incidents: PAGE, block: PAGE, town: PAGE };
let shown = { ...FIRST };

const latest = (incident) => reportsOf(incident).reduce((last, row) => Math.max(last, column.day[row]), UNKNOWN);
const ORDERS = {
  size: ([a], [b]) => sizeOf(b) - sizeOf(a),
  newest: ([a], [b]) => latest(b) - latest(a),
};

const nothing = (held, total) => held < total
  ? word("nothingHeld", { held: number(held), total: number(total) }) : word("nothing");

// Draws a list and, above it, the share shown; an empty list says why.
function drawList(key, items, draw, note, empty) {
  const place = at(key);
  place.replaceChildren();
  at(`${key}-note`).textContent = items.length
    ? note({ drawn: number(Math.min(items.length, shown[key])), shown: number(items.length) })
    : "";
  if (!items.length) place.append(element("p", "nothing", empty));
  for (const item of items.slice(0, shown[key])) place.append(draw(item));
  if (items.length > shown[key]) {
    const label = `${word("more")} (${number(items.length - shown[key])})`;
    place.append(moreButton(`more ${key}`, label, () => { shown[key] += 4 * PAGE; drawList(key, items, draw, note, empty); }));
  }
}

// What is inside is drawn when it is opened.
function opening(head, inside) {
  const made = element("details", "group");
  made.append(head);
  made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) made.append(...inside()); });
  return made;
}

function between(rows) {
  const days = [...rows].map((row) => column.day[row]).filter((day) => day >= 0).sort((a, b) => a - b);
  if (!days.length) return "";
  const [first, last] = [dateOf(days[0]), dateOf(days[days.length - 1])];
  return first === last ? isolated(first) : word("between", { first, last });
}

function drawIncident([incident, clearest]) {
  const rows = reportsOf(incident), one = caseOfRow.get(clearest), head = element("summary");
  const title = element("span", "title", beginning(one.text, TITLE));
  title.dir = "auto";
  const facts = [
    name("topic", column.topic[clearest]), name("agency", column.agency[clearest]), placeName(clearest), between(rows),
    one.group && `${word("incident")} ${isolated(one.group)}`,
  ];
  const worst = rows.reduce((worst, row) => urgencyRank(row) < urgencyRank(worst) ? row : worst, clearest);
  const pressing = isUrgent(worst) ? caseOfRow.get(worst) : undefined;
  head.append(element("span", "size", number(rows.length)), urgencyBadge(worst), title);
  if (lastDay >= 0) head.append(spark(rows));
  head.append(element("span", "facts", facts.filter(Boolean).join(" · ")));
  return opening(head, () => {
    // What makes the incident urgent is read first.
    const others = [...rows].filter((row) => caseOfRow.has(row)).map((row) => caseOfRow.get(row));
    const order = [...new Set([pressing ?? one, one, ...others])];
    const drawnCases = order.slice(0, REPORTS_SHOWN), rest = rows.length - drawnCases.length;
    const all = button("more", word("showReports", { n: number(rows.length) }), () => showIncident(incident));
    return [...drawnCases.map(drawCase), ...(rest ? [element("p", "quiet", word("moreReports", { n: number(rest) }))] : []), all];
  });
}

function drawIncidents({ incidents }) {
  // An incident is listed if any of its reports passes.
  const passing = data.incidents.filter(([incident]) => incidents[incident]).sort(ORDERS[state.order]);
  drawList("incidents", passing, drawIncident,
    (drawn) => word("incidentsNote", drawn) + (data.incidents.length < data.repeated
      ? ` ${word("incidentsHeld", { held: number(data.incidents.length), total: number(data.repeated) })}` : ""),
    !data.grouped ? word("groupsMissing") : data.repeated ? nothing(data.incidents.length, data.repeated) : word("groupsNone"));
}

function drawRecurring(place, { rows }) {
  const { all, counted } = data.recurring[place], held = problems.filter((one) => one.dimension === place);
  const reason = !data.dated ? word("recurringUndated")
    : !data.placeColumns[place] ? word(place === "block" ? "noColumnBlock" : "noColumnTown")
    : all ? nothing(held.length, all)
    : word("recurringNone", { ...data, counted: number(counted), incidents: number(data.incidentCount) });
  const ungrouped = data.grouped ? "" : ` ${word("recurringUngrouped")}`;
  drawList(place, held.filter((one) => one.rows.some((row) => rows[row])), (one) => {
    const head = element("summary"), facts = element("span", "facts");
    const title = element("b", "title", `${name("topic", one.topic)} — ${name(place, one.place)}`);
    facts.append(...[
      word("times", one), word("between", one), word("expected", { ...one, times: (one.incidents / one.expected).toFixed(1) }),
      one.q < 0.0001 ? word("chanceBelow", { p: "0.0001" }) : word("chance", { p: one.q.toPrecision(2) }),
    ].map((text) => element("span", "", text)));
    head.append(element("span", "size", number(one.incidents)), title, spark(one.rows), facts);
    return opening(head, () => {
      const every = button("more", word("showReports", { n: number(one.rows.length) }),
        () => showCases({ ...nothingChosen(), chosen: { topic: one.topic, [place]: one.place } }));
      return [...one.cases.map((row) => drawCase(caseOfRow.get(row))), every];
    });
  }, (drawn) => word("recurringNote", { ...drawn, held: number(held.length), all: number(all) }) + ungrouped, reason + ungrouped);
}

// Pairs of where cases went and where the model would send them, those that it is sure of first.
function drawMisrouted({ rows }) {
  const pairs = new Map();
  rows.forEach((passes, row) => {
    if (!passes || !column.misrouted[row]) return;
    const key = `${column.routed[row]} ${column.agency[row]}`;
    const pair = pairs.get(key) ?? { routed: column.routed[row], agency: column.agency[row], cases: 0, sure: 0 };
    pair.cases += 1;
    pair.sure += 1 - column.review[row];
    pairs.set(key, pair);
  });
  const order = [...pairs.values()].sort((a, b) => b.sure - a.sure || b.cases - a.cases);
  at("misrouted").replaceChildren(...order.slice(0, MOST_PAIRS).map((pair) => {
    const item = button("item", "", () => change({
      chosen: { ...state.chosen, routed: pair.routed, agency: pair.agency }, misrouted: true, sort: "percent.down",
    }));
    item.dataset.choice = `pair ${pair.routed} ${pair.agency}`;
    const names = { routed: name("routed", pair.routed), agency: name("agency", pair.agency) };
    return line(item, element("b", "figure", number(pair.cases)), word("routedTo", names), [word("sureOf", { n: number(pair.sure) })]);
  }));
  if (!order.length) at("misrouted").append(element("p", "nothing", word("misroutedNone")));
}
