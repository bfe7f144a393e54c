// Draws the page, and listens to the officer.
const SELECTS = DIMENSIONS.map((dimension) => [dimension, at(`filter-${dimension}`)]);
const MOST_UNPLACED = 10;
let selection = null, sizes = {};

// Sizes on the screen are asked for once: a browser lays out the whole page anew to tell one after a change.
function measure() {
  const scroller = at("scroller");
  sizes = {
    weeks: at("weeks").clientWidth, towns: at("towns").clientWidth, tableHeight: scroller.clientHeight,
    rowHeight: parseFloat(getComputedStyle(scroller).getPropertyValue("--row")),
  };
}

function refresh() {
  keepingFocus(draw);
}

function draw() {
  shown = { ...FIRST };
  selection = select();
  drawFilters();
  const spans = periods(), first = firstReports(selection.ofAnyDate);
  at("now").textContent = lastDay < 0 ? word("now") : word("nowDated", { first: dateOf(spans.now[0]), last: dateOf(spans.now[1]) });
  drawCards(selection, first, spans);
  (has.urgency ? drawUrgent : drawMostReported)(selection, spans);
  if (data.dated) { drawGrowth(first, spans); drawWeeks(selection, sizes.weeks); }
  drawWaiting(selection);
  for (const dimension of Object.keys(BARS)) drawBars(dimension, selection.counts[dimension]);
  if (has.town) drawTowns(selection.counts, sizes.towns);
  if (has.governorate || has.block) drawRegions(selection.counts);
  if (has.routed) drawMisrouted(selection);
  drawTable(selection);
  drawIncidents(selection);
  for (const place of ["block", "town"]) drawRecurring(place, selection);
}

const chip = (label, end) => button("chip", `${label} ✕`, () => change(end));

function drawFilters() {
  const chips = Object.entries(state.chosen).map(([dimension, code]) => {
    const made = chooser("chip", dimension, code);
    made.textContent = `${name(dimension, code)} ✕`;
    return made;
  });
  if (state.incident !== null) chips.push(chip(word("reportsOfOne"), { incident: null }));
  if (state.from || state.to) {
    const [first, last] = [state.from || "…", state.to || "…"];
    chips.push(chip(word("between", { first, last }), { from: "", to: "" }));
  }
  if (state.review) chips.push(chip(word("onlyReview"), { review: false }));
  if (state.misrouted) chips.push(chip(word("onlyMisrouted"), { misrouted: false }));
  if (state.search) chips.push(chip(`«${state.search}»`, { search: "" }));
  if (state.list) chips.push(chip(word("urgent"), { list: "" }));
  at("chips").replaceChildren(...chips);
  at("clear").hidden = !chips.length;
  drawCorrections();
  at("to-cases").textContent = word("toCases", { n: number(selection.totals.cases) });
  for (const [dimension, field] of SELECTS) field.value = state.chosen[dimension] ?? "";
  at("filter-from").value = state.from;
  at("filter-to").value = state.to;
  at("filter-review").checked = state.review;
  at("filter-misrouted").checked = state.misrouted;
  if (document.activeElement !== at("filter-search")) at("filter-search").value = state.search;
  at("period").value = String(state.period);
  at("order").value = state.order;
  const order = sorting();
  at("sort").value = order?.by.key ?? "";
  at("direction").value = order?.down === false ? "up" : "down";
  at("direction").disabled = !order;
}

function fill(field, options) {
  field.replaceChildren(...options.map(([value, label]) => {
    const option = element("option", "", label);
    option.value = String(value);
    return option;
  }));
}

function fillSelects() {
  const { compare } = COLLATOR[state.language];
  for (const [dimension, field] of SELECTS) {
    const codes = data.names[dimension].map((_, code) => [code, name(dimension, code)]).sort((a, b) => compare(a[1], b[1]));
    if (column[dimension].includes(UNKNOWN)) codes.push([UNKNOWN, word("unknown")]);
    fill(field, [["", word("all")], ...codes]);
  }
  const sortable = columnsShown.filter((one) => one.value).map((one) => [one.key, word(one.word)]);
  fill(at("sort"), data.dated ? sortable : [["", word("tableOrder")], ...sortable]);
  fill(at("direction"), ["down", "up"].map((direction) => [direction, word(direction)]));
  at("direction").setAttribute("aria-label", word("direction"));
  fill(at("period"), PERIODS.map((days) => [days, word("days", { n: days })]));
  fill(at("order"), Object.keys(ORDERS).filter((key) => key === "size" || lastDay >= 0).map((key) => [key, word(`order_${key}`)]));
}

// Draws all of the page in the language that was chosen.
function speak() {
  document.documentElement.lang = state.language;
  document.documentElement.dir = isArabic() ? "rtl" : "ltr";
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = word(place.dataset.word);
  const heading = word(data.first ? "title" : "titleUndated", { ...data, rows: number(data.rows) });
  at("title").textContent = data.title || heading;
  document.title = unmarked(at("title").textContent);
  at("subtitle").textContent = (data.title ? `${heading}. ` : "") + word("made", data);
  at("search-label").textContent = word(holdsAll ? "searchAll" : "searchSome", { texts: number(cases.length), rows: number(data.rows) });
  at("urgent-title").textContent = word(has.urgency ? "urgent" : "mostReported");
  at("map-title").textContent = word(has.block ? "byPlace" : "byGovernorate");
  fillSelects();
  const notes = ["noteModel", data.masked ? "noteMasked" : "noteNotMasked", "noteOffline", data.dated ? "noteWeeks" : "noteUndated"].map((key) => word(key));
  if (!has.urgency) notes.push(word("noteUrgency"));
  if (!has.governorate && !has.town && !has.block) notes.push(word("notePlaceless"));
  if (!holdsAll) notes.push(word("noteHeld", { texts: number(cases.length), rows: number(data.rows) }));
  if (data.rejected) notes.push(word("noteRejected", { n: number(data.rejected) }));
  if (data.unplaced.length) {
    const names = data.unplaced.slice(0, MOST_UNPLACED).map(([code, cases]) => `${isolated(name("routed", code))} (${number(cases)})`);
    notes.push(word("noteUnplaced", { n: number(data.unplaced.reduce((sum, [, cases]) => sum + cases, 0)), names: names.join(isArabic() ? "، " : ", ") }));
  }
  if (data.datesUnread) notes.push(word("noteDates", { n: number(data.datesUnread) }));
  at("notes").replaceChildren(...notes.map((note) => element("li", "", note)));
  refresh();
}

function listen() {
  for (const [dimension, field] of SELECTS) {
    field.addEventListener("change", () => {
      const { [dimension]: _, ...others } = state.chosen;
      change({ chosen: field.value === "" ? others : { ...others, [dimension]: Number(field.value) } });
    });
  }
  for (const end of ["from", "to"]) at(`filter-${end}`).addEventListener("change", (event) => change({ [end]: event.target.value }));
  for (const only of ["review", "misrouted"]) at(`filter-${only}`).addEventListener("change", (event) => change({ [only]: event.target.checked }));
  at("period").addEventListener("change", (event) => change({ period: Number(event.target.value) }));
  at("sort").addEventListener("change", (event) => change({ sort: event.target.value }));
  at("direction").addEventListener("change", (event) => change({ sort: `${at("sort").value}.${event.target.value}` }));
  at("order").addEventListener("change", (event) => change({ order: event.target.value }));
  let typing = 0;
  at("filter-search").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      state.search = event.target.value;
      keepAddress(true);
      refresh();
    }, 150);
  });
  at("more-filters").addEventListener("click", () => {
    at("rest").hidden = !at("rest").hidden;
    at("more-filters").setAttribute("aria-expanded", String(!at("rest").hidden));
  });
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("clear").addEventListener("click", () => { at("filter-search").value = ""; change(nothingChosen()); });
  at("to-cases").addEventListener("click", () => at("section-cases").scrollIntoView());
  at("download").addEventListener("click", () => save("cases.csv", casesAsCsv()));
  at("corrections").addEventListener("click", saveCorrections);
  window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  at("language").addEventListener("click", () => { state.language = isArabic() ? "en" : "ar"; keepAddress(); speak(); });
  at("print").addEventListener("click", () => window.print());
  at("scroller").addEventListener("scroll", () => { scrolled = at("scroller").scrollTop; drawInSight(); });
  at("case").addEventListener("click", (event) => { if (event.target === at("case")) at("case").close(); });
  window.addEventListener("hashchange", () => { readAddress(); speak(); });
  // What is printed is what is on the screen, and of the table its first rows.
  window.addEventListener("beforeprint", () => drawInSight(true));
  window.addEventListener("afterprint", () => drawInSight());
  let width = 0;
  window.addEventListener("resize", () => {  // a phone's browser sends it for its own bars as well
    if (width === document.documentElement.clientWidth) return;
    width = document.documentElement.clientWidth;
    measure();
    if (data.dated) drawWeeks(selection, sizes.weeks);
    if (has.town) drawTowns(selection.counts, sizes.towns);
    drawInSight();
  });
}

const hide = (selector, hidden) => { for (const place of document.querySelectorAll(selector)) place.hidden = hidden; };
hide(".dated", !data.dated);
for (const dimension of ["urgency", "governorate", "town", "block", "routed"]) hide(`.has-${dimension}`, !has[dimension]);
at("section-map").hidden = !has.governorate && !has.block;
at("section-block").hidden = !data.hasBlocks;
// Tiles with the name of a town need room.
if (data.blocksWithinTowns) at("section-map").classList.add("full");
readAddress();
measure();
listen();
speak();
performance.mark("ready");
document.documentElement.dataset.ready = "true";
