"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const DIMENSIONS = ["agency", "topic", "kind", "governorate", "block", "week"];
  const COUNT = DIMENSIONS.length, REVIEW = COUNT + 1;
  const BARS = { agency: 20, topic: 25, kind: 10 };
  const MOST_BLOCKS = 60, MOST_WEEKS = 1500, PAGE = 25, TITLE = 110;
  // A case is [id, text, codes, town, certainty, whether it needs review, reasons, day].
  const ID = 0, TEXT = 1, CODES = 2, TOWN = 3, CERTAINTY = 4, FOR_REVIEW = 5, REASONS = 6, DAY = 7;
  const FROM_WEST = ["northern", "capital", "muharraq", "southern"];
  const FIRST = { found: PAGE, queue: PAGE, groups: PAGE, block: PAGE, town: PAGE };

  const state = { language: "ar", chosen: {}, from: "", to: "", review: false, search: "", whole: new Set(), shown: { ...FIRST } };
  const at = (id) => document.getElementById(id);
  // Values are isolated from the text around them: in a line of Arabic the parts of a date would be reordered. No
  // line breaks within a date.
  const isolated = (value) => `\u2066${String(value).replace(/(\d-)(?=\d)/g, "$1\u2060")}\u2069`;
  const word = (key, values = {}) => data.words[state.language][key]
    .replace(/\{(\w+)\}/g, (all, name) => values[name] === undefined ? all : isolated(values[name]));
  const number = (value) => value.toLocaleString("en-US");
  const percent = (part, whole) => whole ? `${(100 * part / whole).toFixed(1)}%` : "–";
  const code = (dimension) => DIMENSIONS.indexOf(dimension);

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function name(dimension, key) {
    if (key < 0) return word("unknown");
    const [, arabic, english] = data.names[dimension][key];
    const own = state.language === "ar" ? arabic : english;
    return dimension === "block" ? `${word("block")} ${own}` : own;
  }

  // The search unifies letters that people interchange, and ignores marks.
  const folded = (text) => text.toLowerCase().normalize("NFKC").replace(/[\u064b-\u0652\u0640]/g, "")
    .replace(/[أإآٱ]/g, "ا").replace(/ى/g, "ي").replace(/ة/g, "ه").replace(/ؤ/g, "و").replace(/ئ/g, "ي")
    .replace(/[٠-٩]/g, (digit) => digit.charCodeAt(0) - 0x0660);
  const placed = data.names.governorate.length + data.names.block.length > 0;
  const sizes = { texts: number(data.cases.length), rows: number(data.rows) };
  const searchable = data.cases.map((one) => folded(`${one[ID]} ${one[TEXT]}`));

  const weekDay = data.names.week.map((entry) => entry[0]);
  const weekEnd = weekDay.map((day) => {
    const end = new Date(`${day}T00:00:00Z`);
    end.setUTCDate(end.getUTCDate() + 6);
    return end.toISOString().slice(0, 10);
  });

  // A week counts when any of its days lies in the chosen span.
  function inSpan(week) {
    if (!state.from && !state.to) return true;
    if (week < 0) return false;
    return (!state.from || weekEnd[week] >= state.from) && (!state.to || weekDay[week] <= state.to);
  }

  function count() {
    const totals = { cases: 0, review: 0 };
    const by = Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, new Map()]));
    const chosen = DIMENSIONS.map((dimension) => state.chosen[dimension] ?? null);
    const inside = weekDay.map((_, week) => inSpan(week));
    const anySpan = Boolean(state.from || state.to);
    const add = (map, key, cases, review) => {
      const sum = map.get(key);
      if (sum) { sum[0] += cases; sum[1] += review; } else map.set(key, [cases, review]);
    };
    for (const cell of data.cells) {
      // A selection in a chart does not filter that chart itself, so another can be chosen.
      let outside = -1, misses = 0;
      for (let at = 0; at < COUNT && misses < 2; at += 1) {
        if (chosen[at] !== null && cell[at] !== chosen[at]) { misses += 1; outside = at; }
      }
      const week = cell[COUNT - 1];
      if (anySpan && !(week >= 0 && inside[week])) { if (outside !== COUNT - 1) misses += 1; outside = COUNT - 1; }
      if (misses > 1) continue;
      const review = cell[REVIEW];
      const cases = state.review ? review : cell[COUNT];
      if (!cases) continue;
      if (misses === 1) { add(by[DIMENSIONS[outside]], cell[outside], cases, review); continue; }
      totals.cases += cases;
      totals.review += review;
      for (let at = 0; at < COUNT; at += 1) add(by[DIMENSIONS[at]], cell[at], cases, review);
    }
    return { totals, by };
  }

  function matches(one) {
    for (let at = 0; at < COUNT; at += 1) {
      const wanted = state.chosen[DIMENSIONS[at]];
      if (wanted !== undefined && one[CODES][at] !== wanted) return false;
    }
    if (state.from && !(one[DAY] && one[DAY] >= state.from)) return false;
    if (state.to && !(one[DAY] && one[DAY] <= state.to)) return false;
    return !state.review || Boolean(one[FOR_REVIEW]);
  }

  // All reports of an incident or problem are known by their combination in the counts; one match is enough.
  // As in the charts, a date includes the weeks that it touches.
  const anyMatches = (reports) => reports.some((report) => {
    const cell = data.cells[report >> 1];
    return (!state.review || report % 2 === 1) && inSpan(cell[code("week")])
      && DIMENSIONS.every((dimension, at) => state.chosen[dimension] === undefined || cell[at] === state.chosen[dimension]);
  });

  function choose(dimension, key) {
    if (state.chosen[dimension] === key) delete state.chosen[dimension]; else state.chosen[dimension] = key;
    refresh();
  }

  // A selection button. Redrawing replaces it with another, which then gets the keyboard's focus.
  function chooser(className, dimension, key) {
    const made = element("button", className);
    made.type = "button";
    made.dataset.choice = `${dimension} ${key}`;
    made.setAttribute("aria-pressed", String(state.chosen[dimension] === key));
    made.addEventListener("click", () => choose(dimension, key));
    return made;
  }

  function keepingFocus(draw) {
    const choice = document.activeElement?.dataset.choice;
    draw();
    if (choice && document.activeElement === document.body) {
      document.querySelector(`main [data-choice="${choice}"]`)?.focus({ preventScroll: true });
    }
  }

  // A button that draws more of a list, and keeps the focus after redrawing.
  function moreButton(choice, label, draw) {
    const made = element("button", "more", label);
    made.type = "button";
    made.dataset.choice = choice;
    made.addEventListener("click", () => keepingFocus(draw));
    return made;
  }

  function legend() {
    const made = element("p", "legend");
    for (const kind of ["sure", "review"]) {
      const part = element("span");
      part.append(element("i", kind), word(kind === "sure" ? "sure" : "forReview"));
      made.append(part);
    }
    return made;
  }

  function drawBars(dimension, counts) {
    const place = at(`bars-${dimension}`);
    const rows = [...counts].sort((a, b) => b[1][0] - a[1][0]);
    const most = rows.length ? rows[0][1][0] : 1;
    place.replaceChildren(legend());
    if (!rows.length) place.append(element("p", "nothing", word("nothing")));
    for (const [key, [cases, review]] of state.whole.has(dimension) ? rows : rows.slice(0, BARS[dimension])) {
      const bar = chooser("bar", dimension, key);
      bar.title = `${name(dimension, key)}: ${number(cases)}, ${number(review)} ${word("forReview")}`;
      const track = element("span", "track");
      const sure = element("span", "sure"), doubt = element("span", "review");
      sure.style.width = `${100 * (cases - review) / most}%`;
      doubt.style.width = `${100 * review / most}%`;
      track.append(sure, doubt);
      bar.append(element("span", "name", name(dimension, key)), track, element("span", "count", number(cases)));
      place.append(bar);
    }
    if (rows.length > BARS[dimension]) {
      const drawn = state.whole.has(dimension) ? rows.length : BARS[dimension];
      place.append(element("p", "quiet printed", word("listNote", { drawn: number(drawn), shown: number(rows.length) })));
      const label = state.whole.has(dimension) ? word("showFewer") : word("showAll", { n: number(rows.length) });
      place.append(moreButton(`all ${dimension}`, label, () => {
        if (!state.whole.delete(dimension)) state.whole.add(dimension);
        drawBars(dimension, counts);
      }));
    }
  }

  const townFirst = (block) => data.names.block[block][0].split("، ").reverse().join(" ");

  function drawMap(by) {
    const governorateOf = new Map();
    for (const cell of data.cells) if (cell[code("block")] >= 0) governorateOf.set(cell[code("block")], cell[code("governorate")]);
    const blocks = [...by.block].filter(([key]) => key >= 0).sort((a, b) => b[1][0] - a[1][0]).slice(0, MOST_BLOCKS);
    const most = blocks.length ? blocks[0][1][0] : 1;
    const place = at("map");
    place.replaceChildren();
    // As on a map, from west to east, or as the country lists them.
    const order = data.regions.every((id) => FROM_WEST.includes(id)) ? FROM_WEST : data.regions;
    place.classList.toggle("from-west", order === FROM_WEST);
    const rank = ([key]) => key < 0 ? order.length + 1 : (order.indexOf(data.names.governorate[key][0]) + order.length + 1) % (order.length + 1);
    for (const [key, [cases]] of [...by.governorate].sort((a, b) => rank(a) - rank(b))) {
      const region = element("div", "region");
      region.dataset.id = key < 0 ? "unknown" : data.names.governorate[key][0];
      const head = chooser("", "governorate", key);
      head.textContent = `${name("governorate", key)} · ${number(cases)}`;
      region.append(head);
      const own = blocks.filter(([block]) => governorateOf.get(block) === key);
      const grid = element("div", data.blocksWithinTowns ? "blocks named" : "blocks");
      own.sort((a, b) => townFirst(a[0]).localeCompare(townFirst(b[0]), "ar", { numeric: true }));
      for (const [block, [blockCases]] of own) {
        const tile = chooser(`block h${Math.min(5, 1 + Math.floor(5 * blockCases / (most + 1)))}`, "block", block);
        tile.title = `${name("block", block)}: ${number(blockCases)}`;
        const label = element("span", "", data.names.block[block][state.language === "ar" ? 1 : 2]);
        label.dir = "auto";
        tile.append(label, element("b", "", number(blockCases)));
        grid.append(tile);
      }
      if (own.length) region.append(grid);
      place.append(region);
    }
    at("map-note").textContent = word(!data.hasBlocks ? "governorateNote" : data.blocksToldApart ? "mapNote" : "blocksJoined");
  }

  function drawn(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function drawWeeks(counts) {
    const place = at("weeks");
    place.replaceChildren();
    const days = [...weekDay].sort();
    if (!days.length) return;
    const keys = new Map(weekDay.map((day, key) => [day, key]));
    // Weeks without a case are shown as well: a gap is news. Of too many, the last: single old dates are often wrong.
    const all = [];
    for (let day = new Date(`${days[days.length - 1]}T00:00:00Z`); all.length < MOST_WEEKS; day.setUTCDate(day.getUTCDate() - 7)) {
      all.unshift(day.toISOString().slice(0, 10));
      if (all[0] <= days[0]) break;
    }
    // One unit is one pixel, so labels are as large on a phone as anywhere.
    const width = Math.max(280, place.clientWidth), height = 190, left = 44, bottom = 26, top = 8;
    const values = all.map((day) => counts.get(keys.get(day)) ?? [0, 0]);
    const most = Math.max(1, ...values.map((value) => value[0]));
    const step = (width - left) / all.length;
    const y = (value) => top + (height - top - bottom) * (1 - value / most);
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": word("byWeek") });
    for (const share of [0, 0.5, 1]) {
      const value = Math.round(most * share);
      svg.append(drawn("line", { x1: left, x2: width, y1: y(value), y2: y(value) }));
      const mark = drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" });
      mark.textContent = number(value);
      svg.append(mark);
    }
    const label = 76, every = Math.ceil(all.length * label / (width - left));
    all.forEach((day, index) => {
      const [cases, review] = values[index];
      const x = left + index * step, bar = Math.max(1, step * 0.8);
      const week = drawn("g", { class: "week" });
      week.append(drawn("rect", { class: "sure", x, width: bar, y: y(cases - review), height: y(0) - y(cases - review) }));
      week.append(drawn("rect", { class: "review", x, width: bar, y: y(cases), height: y(cases - review) - y(cases) }));
      const hit = drawn("rect", { class: "hit", x, width: step, y: top, height: height - top - bottom });
      const tip = drawn("title", {});
      tip.textContent = `${day}: ${number(cases)}`;
      hit.append(tip);
      hit.addEventListener("click", () => { if (keys.has(day)) choose("week", keys.get(day)); });
      week.append(hit);
      if (index % every === 0 && x + label <= width) {
        const mark = drawn("text", { x, y: height - 8 });
        mark.textContent = day;
        week.append(mark);
      }
      svg.append(week);
    });
    place.append(legend(), svg);
  }

  function marked(text) {
    const made = element("div", "text");
    made.dir = "auto";
    // Folding may change lengths, so only a plain match is coloured.
    const start = state.search ? text.indexOf(state.search) : -1;
    if (start < 0) { made.textContent = text; return made; }
    made.append(text.slice(0, start), element("mark", "", state.search), text.slice(start + state.search.length));
    return made;
  }

  function fact(label, value, className) {
    const made = element("span", className);
    if (label) made.append(`${label}: `);
    const shown = element("b", "", value);
    shown.dir = "auto";
    made.append(shown);
    return made;
  }

  function drawCase(one) {
    const made = element("article", "case");
    const facts = element("div", "facts");
    facts.append(fact("", one[ID]));
    if (one[DAY]) facts.append(fact("", one[DAY]));
    for (const dimension of ["agency", "topic", "kind"]) facts.append(fact(word(dimension), name(dimension, one[CODES][code(dimension)])));
    const block = one[CODES][code("block")];
    // The name of a block that is numbered within its town ends with the town's.
    const town = data.blocksWithinTowns && block >= 0 ? -1 : one[TOWN];
    const place = [["governorate", one[CODES][code("governorate")]], ["town", town], ["block", block]]
      .filter(([, key]) => key >= 0).map(([dimension, key]) => name(dimension, key)).join(" · ");
    if (place) facts.append(fact("", place));
    facts.append(fact(word("certainty"), `${Math.round(100 * one[CERTAINTY])}%`));
    for (const reason of one[REASONS]) {
      const id = data.names.reason[reason][0];
      facts.append(element("span", "reason", (data.words.reasons[id] ?? [id, id])[state.language === "ar" ? 0 : 1]));
    }
    made.append(marked(one[TEXT]), facts);
    return made;
  }

  const nothing = (held, total) => held < total
    ? word("nothingHeld", { held: number(held), total: number(total) }) : word("nothing");

  // Draws a list and, above it, the share shown; an empty list says why.
  function drawList(key, items, draw, note, empty) {
    const place = at(key);
    place.replaceChildren();
    at(`${key}-note`).textContent = items.length
      ? note({ drawn: number(Math.min(items.length, state.shown[key])), shown: number(items.length) })
      : "";
    if (!items.length) place.append(element("p", "nothing", empty));
    for (const item of items.slice(0, state.shown[key])) place.append(draw(item));
    if (items.length > state.shown[key]) {
      const label = `${word("more")} (${number(items.length - state.shown[key])})`;
      place.append(moreButton(`more ${key}`, label, () => { state.shown[key] += 4 * PAGE; lists(); }));
    }
  }

  function lists() {
    const wanted = folded(state.search.trim());
    const found = (index) => !wanted || searchable[index].includes(wanted);
    at("section-found").hidden = !wanted;
    const every = data.cases.length === data.rows ? "" : ` ${word("foundSome", sizes)}`;
    if (wanted) {
      drawList("found", data.cases.filter((one, index) => found(index) && matches(one)), drawCase,
        (drawn) => word("listNote", drawn) + every, word("nothing") + every);
    }
    drawList("queue", data.queue.filter((index) => matches(data.cases[index]) && found(index)), (index) => drawCase(data.cases[index]),
      (drawn) => word(data.queue.length < data.queueTotal ? "queueNote" : "listNote",
        { ...drawn, held: number(data.queue.length), total: number(data.queueTotal) }),
      data.queueTotal ? nothing(data.queue.length, data.queueTotal) : word("queueNone"));
    const groups = data.largest.filter(([, reports, shown]) => anyMatches(reports) && shown.some(found));
    drawList("groups", groups, drawGroup,
      (drawn) => word("groupsNote", { ...drawn, held: number(data.largest.length), total: number(data.groups) }),
      !data.grouped ? word("groupsMissing") : data.groups ? nothing(data.largest.length, data.groups) : word("groupsNone"));
    for (const place of ["block", "town"]) drawRecurring(place, found);
  }

  // Whole words only, if any.
  const beginning = (text) => text.length > TITLE ? `${text.slice(0, TITLE + 1).replace(/\s+\S*$/, "").slice(0, TITLE)}…` : text;

  function drawGroup([size, , members]) {
    const made = element("details", "group");
    const head = element("summary");
    const clearest = data.cases[members[0]];
    head.append(element("span", "size", number(size)), element("b", "", name("topic", clearest[CODES][code("topic")])), " — ");
    const text = element("span", "", beginning(clearest[TEXT]));
    text.dir = "auto";
    head.append(text);
    made.append(head, ...members.map((index) => drawCase(data.cases[index])));
    if (size > members.length) made.append(element("p", "quiet", word("moreReports", { n: number(size - members.length) })));
    return made;
  }

  function drawRecurring(place, found) {
    const { all, counted, shown } = data.recurring[place];
    const reason = !data.dated ? word("recurringUndated")
      : !data.placeColumns[place] ? word(place === "block" ? "noColumnBlock" : "noColumnTown")
      : all ? nothing(shown.length, all)
      : word("recurringNone", { ...data, counted: number(counted), incidents: number(data.incidents) });
    const ungrouped = data.grouped ? "" : ` ${word("recurringUngrouped")}`;
    drawList(place, shown.filter((one) => anyMatches(one.found) && one.cases.some(found)), (one) => {
      const made = element("details", "group");
      const head = element("summary");
      head.append(element("span", "size", number(one.incidents)), element("b", "", `${name("topic", one.topic)} — ${name(place, one.place)}`));
      const facts = element("div", "facts");
      facts.append(element("span", "", word("times", one)), element("span", "", word("between", one)),
        element("span", "", word("expected", one)), element("span", "", one.p < 0.0001 ? word("chanceBelow", { p: "0.0001" }) : word("chance", { p: one.p.toPrecision(2) })));
      head.append(facts);
      made.append(head, ...one.cases.map((index) => drawCase(data.cases[index])));
      return made;
    }, (drawn) => word("recurringNote", { ...drawn, held: number(shown.length), all: number(all) }) + ungrouped, reason + ungrouped);
  }

  function drawCards(totals) {
    const cards = [[number(totals.cases), word("cases")], [number(totals.review), word("forReview")], [percent(totals.review, totals.cases), word("shareReview")]];
    // Incidents are counted for the whole table only.
    const filtered = Object.keys(state.chosen).length || state.from || state.to || state.review;
    if (data.grouped && !filtered) cards.push([number(data.incidents), word("incidents")], [number(data.rows - data.incidents), word("repeated")]);
    at("cards").replaceChildren(...cards.map(([value, label]) => {
      const card = element("div", "card");
      card.append(element("b", "", value), element("span", "", label));
      return card;
    }));
  }

  function drawChips() {
    const chips = Object.entries(state.chosen).map(([dimension, key]) => {
      const label = dimension === "week" ? `${word("week")} ${weekDay[key]}` : name(dimension, key);
      const chip = chooser("chip", dimension, key);
      chip.textContent = `${label} ✕`;
      return chip;
    });
    at("chips").replaceChildren(...chips);
    for (const dimension of ["agency", "topic", "governorate", "kind"]) at(`filter-${dimension}`).value = state.chosen[dimension] ?? "";
  }

  function refresh() {
    keepingFocus(draw);
  }

  function draw() {
    state.shown = { ...FIRST };
    const { totals, by } = count();
    drawCards(totals);
    for (const dimension of Object.keys(BARS)) drawBars(dimension, by[dimension]);
    drawMap(by);
    if (data.dated) drawWeeks(by.week);
    drawChips();
    lists();
  }

  function fillSelects() {
    for (const dimension of ["agency", "topic", "governorate", "kind"]) {
      const options = data.names[dimension].map((_, key) => [key, name(dimension, key)]).sort((a, b) => a[1].localeCompare(b[1], state.language));
      const all = element("option", "", word("all"));
      all.value = "";
      at(`filter-${dimension}`).replaceChildren(all, ...options.map(([key, label]) => {
        const option = element("option", "", label);
        option.value = String(key);
        return option;
      }));
    }
  }

  function speak(language) {
    state.language = language;
    document.documentElement.lang = language;
    document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
    for (const place of document.querySelectorAll("[data-word]")) place.textContent = word(place.dataset.word);
    const heading = word(data.first ? "title" : "titleUndated", { ...data, rows: number(data.rows) });
    at("title").textContent = data.title || heading;
    // Invisible marks are not part of a tab's name, nor of a printed file's.
    document.title = at("title").textContent.replace(/[\u2060\u2066\u2069]/g, "");
    at("subtitle").textContent = (data.title ? `${heading}. ` : "") + word("made", data);
    at("search-label").textContent = word(data.cases.length === data.rows ? "searchAll" : "searchSome", sizes);
    fillSelects();
    const notes = [word("noteModel"), word(data.masked ? "noteMasked" : "noteNotMasked"), word("noteOffline")];
    notes.push(word(data.dated ? "noteWeeks" : "noteUndated"));
    if (!placed) notes.push(word("notePlaceless"));
    if (data.rejected) notes.push(word("noteRejected", { n: number(data.rejected) }));
    if (data.datesUnread) notes.push(word("noteDates", { n: number(data.datesUnread) }));
    at("notes").replaceChildren(...notes.map((note) => element("li", "", note)));
    refresh();
  }

  for (const dimension of ["agency", "topic", "governorate", "kind"]) {
    at(`filter-${dimension}`).addEventListener("change", (event) => {
      if (event.target.value === "") delete state.chosen[dimension]; else state.chosen[dimension] = Number(event.target.value);
      refresh();
    });
  }
  at("filter-from").addEventListener("change", (event) => { state.from = event.target.value; refresh(); });
  at("filter-to").addEventListener("change", (event) => { state.to = event.target.value; refresh(); });
  at("filter-review").addEventListener("change", (event) => { state.review = event.target.checked; refresh(); });
  let typing = 0;
  at("filter-search").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => { state.search = event.target.value; lists(); }, 150);
  });
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("reset", () => {
    Object.assign(state, { chosen: {}, from: "", to: "", review: false, search: "" });
    setTimeout(refresh);
  });
  at("language").addEventListener("click", () => speak(state.language === "ar" ? "en" : "ar"));
  at("print").addEventListener("click", () => window.print());
  let width = 0;
  window.addEventListener("resize", () => {  // a phone's browser sends it for its own bars as well
    if (data.dated && width !== at("weeks").clientWidth) drawWeeks(count().by.week);
    width = at("weeks").clientWidth;
  });
  for (const place of document.querySelectorAll(".dated")) place.hidden = !data.dated;
  for (const place of document.querySelectorAll(".placed")) place.hidden = !placed;
  // Tiles with the name of a town need room.
  if (data.blocksWithinTowns) for (const id of ["section-map", "section-kind"]) at(id).classList.add("full");
  if (!data.hasBlocks) {
    at("section-block").hidden = true;
    document.querySelector("#section-map h2").dataset.word = "byGovernorate";
  }
  speak("ar");
})();
