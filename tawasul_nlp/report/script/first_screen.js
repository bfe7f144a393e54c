// What the officer sees first: how many, what is dangerous, what grew, and who waits.
const MOST_URGENT = 5, MOST_GROWN = 7, MOST_WAITING = 7, FEW_GROWN = 5;

// A count in the period, and how it changed; a change of few is told as a number.
function changed([now, before]) {
  if (now === before) return word("same", { now: number(now) });
  const sign = now > before ? "+" : "−";
  const share = Math.round(100 * Math.abs(now - before) / before);
  const by = before < 10 || !share ? number(Math.abs(now - before)) : `${share}%`;
  return word("changed", { now: number(now), before: number(before), by: `${sign}${by}` });
}

// How many rows are of the period and of the one before: of all, for review, and of each urgency.
function countPeriods(rows, spans) {
  const counts = { cases: [0, 0], review: [0, 0], urgency: data.names.urgency.map(() => [0, 0]) };
  for (let row = 0; row < data.rows; row += 1) {
    const before = within(column.day[row], spans.before);
    if (!rows[row] || !before && !within(column.day[row], spans.now)) continue;
    counts.cases[Number(before)] += 1;
    counts.review[Number(before)] += column.review[row];
    if (column.urgency[row] >= 0) counts.urgency[column.urgency[row]][Number(before)] += 1;
  }
  return counts;
}

function drawCards({ totals, counts, ofAnyDate }, first, spans) {
  const inPeriods = countPeriods(ofAnyDate, spans), isNew = new Uint8Array(data.rows);
  for (const row of first) if (row >= 0) isNew[row] = 1;
  const figures = [["cases", totals.cases, word("cases"), inPeriods.cases]];
  if (data.grouped) figures.push(["incidents", totals.incidents, word("incidents"), countPeriods(isNew, spans).cases]);
  figures.push(["review", totals.review, `${word("forReview")} (${percent(totals.review, totals.cases)})`, inPeriods.review]);
  for (const id of URGENT) {
    const code = codeOf.urgency.get(id);
    if (code === undefined) continue;
    // A choice of urgency does not filter its own counts.
    const passes = [undefined, code].includes(state.chosen.urgency);
    figures.push([id, passes ? counts.urgency.all[code + 1] : 0, name("urgency", code), inPeriods.urgency[code]]);
  }
  at("cards").replaceChildren(...figures.map(([id, figure, label, both]) => {
    const made = element("div", "card");
    made.dataset.kpi = id;
    made.append(element("b", "", number(figure)), element("span", "", label));
    if (lastDay >= 0 && spans.complete) made.append(element("span", "change", changed(both)));
    return made;
  }));
}

const days = ({ now }) => lastDay < 0 ? {} : { from: dateOf(now[0]), to: dateOf(now[1]) };
const recent = (row, spans) => lastDay < 0 || within(column.day[row], spans.now);

// What speaks for acting on a report first: how sure its urgency is, up to half of that less for its age, and more for
// each doubling of the reports of its incident. A report without a date may be of today.
function weight(row, spans) {
  const age = column.day[row] < 0 ? 0 : (spans.now[1] - column.day[row]) / state.period;
  return column.urgencyPercent[row] * (1 - age / 2) * (1 + Math.log2(sizeOf(column.incident[row])) / 4);
}

// The most urgent report of each incident in the period, what is to be acted on first before the others; and how many
// reports there are of each urgency, and how many emergencies are probably none.
function urgentNow({ rows }, spans) {
  const found = new Map(), counts = { emergency: 0, urgent: 0, undated: 0, doubtful: 0 }, isSettled = settled();
  const moreUrgent = (row, other) => urgencyRank(row) - urgencyRank(other)
    || weight(other, spans) - weight(row, spans) || column.day[other] - column.day[row];
  rows.forEach((passes, row) => {
    const undated = data.dated && column.day[row] < 0;
    if (!passes || !isUrgent(row) || isSettled(row) || !undated && !recent(row, spans)) return;
    counts[urgencyId(row)] += 1;
    counts.undated += undated;
    if (urgencyId(row) === "emergency") counts.doubtful += 1 - column.urgencyPercent[row] / 100;
    const incident = column.incident[row];
    if (!found.has(incident) || moreUrgent(row, found.get(incident)) < 0) found.set(incident, row);
  });
  return { urgent: [...found.values()].sort(moreUrgent), counts };
}

function drawUrgent(selection, spans) {
  const { urgent, counts } = urgentNow(selection, spans);
  const told = { ...counts, doubtful: Math.round(counts.doubtful), days: state.period };
  const note = word(data.dated ? "urgentNote" : "urgentUndated", Object.fromEntries(Object.entries(told).map(([key, n]) => [key, number(n)])));
  at("urgent-note").textContent = counts.undated ? `${note} ${word("urgentNoDate", { n: number(counts.undated) })}` : note;
  drawIncidentsNow(urgent, "urgentNone", { list: "urgent", sort: "" });
}

// Without urgency, what was reported most in the period stands in its place, by the latest report.
function drawMostReported({ rows }, spans) {
  const reports = new Map(), last = new Map();
  rows.forEach((passes, row) => {
    const incident = column.incident[row];
    if (!passes || sizeOf(incident) < 2 || !recent(row, spans)) return;
    reports.set(incident, (reports.get(incident) ?? 0) + 1);
    if (!last.has(incident) || column.day[row] > column.day[last.get(incident)]) last.set(incident, row);
  });
  const most = [...reports].sort((a, b) => b[1] - a[1]).map(([incident]) => last.get(incident));
  at("urgent-note").textContent = word("mostReportedNote");
  drawIncidentsNow(most, data.grouped ? "mostReportedNone" : "groupsMissing", { sort: "reports.down", ...days(spans) });
}

function drawIncidentsNow(rows, none, all) {
  const place = at("urgent");
  place.replaceChildren(...rows.slice(0, MOST_URGENT).map((row) => {
    const one = caseOfRow.get(row), item = button("item", "", () => openCase(one));
    item.disabled = !one;
    const size = sizeOf(column.incident[row]);
    const facts = [name("agency", column.agency[row]), placeName(row), dateName(row)];
    if (has.urgency && size > 1) facts.push(word("reports", { n: number(size) }));
    const lead = has.urgency ? urgencyBadge(row) : element("b", "figure", number(size));
    return line(item, lead, beginning(one ? one.text : name("topic", column.topic[row]), 120), facts);
  }));
  if (!rows.length) place.append(element("p", "nothing", word(none)));
  if (rows.length > MOST_URGENT) place.append(button("more", word("showAll", { n: number(rows.length) }), () => showCases(all)));
}

function drawGrowth(first, spans) {
  const place = at("growth");
  if (lastDay < 0 || !spans.complete) {
    place.replaceChildren(element("p", "nothing", word(lastDay < 0 ? "growthUndated" : "growthShort", { days: number(2 * state.period) })));
    return;
  }
  const labels = grown(first, spans), beyond = labels.filter((label) => label.q < BEYOND_CHANCE);
  const shown = beyond.length ? beyond.slice(0, MOST_GROWN) : labels.slice(0, FEW_GROWN);
  place.replaceChildren(...shown.map((label) => {
    const item = chooser(beyond.length ? "item" : "item doubtful", label.dimension, label.code);
    const facts = [word(label.dimension)];
    if (beyond.length) facts.push(label.q < 0.001 ? word("chanceBelow", { p: "0.001" }) : word("chance", { p: label.q.toPrecision(2) }));
    const figure = element("b", "figure", word("fromTo", { before: number(label.before), now: number(label.now) }));
    return line(item, figure, name(label.dimension, label.code), facts);
  }));
  if (!beyond.length) place.prepend(element("p", "nothing", word(labels.length ? "growthChance" : "growthNone")));
}

function drawWaiting({ rows, counts }) {
  const oldest = new Map();
  rows.forEach((passes, row) => {
    if (!passes || !column.review[row] || column.day[row] < 0) return;
    const agency = column.agency[row], day = oldest.get(agency);
    if (day === undefined || column.day[row] < day) oldest.set(agency, column.day[row]);
  });
  const agencies = ranked(counts.agency).filter((one) => one.review).sort((a, b) => b.review - a.review);
  at("waiting").replaceChildren(...agencies.slice(0, MOST_WAITING).map(({ code, cases, review }) => {
    const item = button("item", "", () => change({ chosen: { ...state.chosen, agency: code }, review: true, sort: "percent.up" }));
    item.dataset.choice = `waiting ${code}`;
    const facts = [word("ofCases", { n: number(cases), share: percent(review, cases) })];
    if (oldest.has(code)) facts.push(word("oldest", { day: dateOf(oldest.get(code)) }));
    return line(item, element("b", "figure", number(review)), name("agency", code), facts);
  }));
  if (!agencies.length) at("waiting").append(element("p", "nothing", word("queueNone")));
}
