// Bars, weeks, and sparks. Time runs as the page is read: from the right in Arabic.
const BARS = { agency: 12, topic: 12, town: 12, kind: 10 };
const MOST_WEEKS = 1500, SPARKS = 26;
const whole = new Set();

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
  const rows = ranked(counts);
  const most = Math.max(...rows.map((one) => one.cases));
  place.replaceChildren(legend());
  if (!rows.length) place.append(element("p", "nothing", word("nothing")));
  for (const { code, cases, review } of whole.has(dimension) ? rows : rows.slice(0, BARS[dimension])) {
    const bar = chooser("bar", dimension, code);
    bar.title = `${name(dimension, code)}: ${number(cases)}, ${number(review)} ${word("forReview")}`;
    const track = element("span", "track");
    const sure = element("span", "sure"), doubt = element("span", "review");
    sure.style.width = `${100 * (cases - review) / most}%`;
    doubt.style.width = `${100 * review / most}%`;
    track.append(sure, doubt);
    bar.append(element("span", "name", name(dimension, code)), track, element("span", "count", number(cases)));
    place.append(bar);
  }
  if (rows.length > BARS[dimension]) {
    const shown = whole.has(dimension) ? rows.length : BARS[dimension];
    place.append(element("p", "quiet printed", word("listNote", { drawn: number(shown), shown: number(rows.length) })));
    const label = whole.has(dimension) ? word("showFewer") : word("showAll", { n: number(rows.length) });
    place.append(moreButton(`all ${dimension}`, label, () => {
      if (!whole.delete(dimension)) whole.add(dimension);
      drawBars(dimension, counts);
    }));
  }
}

// Weeks begin on Sunday; 1970 began on a Thursday.
const weekOf = (day) => Math.floor((firstDay + day + 4) / 7);
const sundayOf = (week) => 7 * week - 4 - firstDay;

function drawWeeks({ ofAnyDate }, wide) {
  const place = at("weeks");
  place.replaceChildren();
  if (lastDay < 0) return;
  // Weeks without a case are shown as well: a gap is news. Of too many, the last: single old dates are often wrong.
  const last = weekOf(lastDay), first = Math.max(weekOf(0), last - MOST_WEEKS + 1), length = last - first + 1;
  const all = new Int32Array(length), review = new Int32Array(length);
  for (let row = 0; row < data.rows; row += 1) {
    if (!ofAnyDate[row] || column.day[row] < 0) continue;
    const week = weekOf(column.day[row]) - first;
    if (week < 0) continue;
    all[week] += 1;
    review[week] += column.review[row];
  }
  // One unit is one pixel, so labels are as large on a phone as anywhere.
  const width = Math.max(280, wide), height = 150, side = 44, bottom = 26, top = 8;
  const most = Math.max(1, all.reduce((a, b) => Math.max(a, b)));
  const step = (width - side) / length, bar = Math.max(1, step * 0.8);
  const x = (from, wide) => isArabic() ? width - side - from - wide : side + from;
  const y = (value) => top + (height - top - bottom) * (1 - value / most);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": word("byWeek") });
  for (const value of new Set([0, Math.round(most / 2), most])) {
    svg.append(drawn("line", { x1: x(0, 0), x2: x(width - side, 0), y1: y(value), y2: y(value) }));
    const mark = drawn("text", { x: x(-6, 0), y: y(value) + 4, "text-anchor": isArabic() ? "start" : "end" });
    mark.textContent = number(value);
    svg.append(mark);
  }
  const label = 76, every = Math.ceil(length * label / (width - side));
  for (let week = 0; week < length; week += 1) {
    const day = sundayOf(first + week), from = week * step;
    const chosen = state.from === dateOf(day) && state.to === dateOf(day + 6);
    const group = drawn("g", { class: chosen ? "week chosen" : "week" });
    const sure = all[week] - review[week];
    group.append(drawn("rect", { class: "sure", x: x(from, bar), width: bar, y: y(sure), height: y(0) - y(sure) }));
    group.append(drawn("rect", { class: "review", x: x(from, bar), width: bar, y: y(all[week]), height: y(sure) - y(all[week]) }));
    const hit = drawn("rect", { class: "hit", x: x(from, step), width: step, y: top, height: height - top - bottom });
    const tip = drawn("title", {});
    tip.textContent = `${dateOf(day)}: ${number(all[week])}`;
    hit.append(tip);
    hit.addEventListener("click", () => change(chosen ? { from: "", to: "" } : { from: dateOf(day), to: dateOf(day + 6) }));
    group.append(hit);
    if (week % every === 0 && from + label <= width - side) {
      const mark = drawn("text", { x: x(from, 0), y: height - 8, "text-anchor": isArabic() ? "end" : "start" });
      mark.textContent = dateOf(day);
      group.append(mark);
    }
    svg.append(group);
  }
  place.append(legend(), svg);
}

// How the reports of an incident came over the table's time.
function spark(rows) {
  const counts = new Int32Array(SPARKS), span = Math.max(lastDay + 1, SPARKS);
  for (const row of rows) if (column.day[row] >= 0) counts[Math.floor(column.day[row] * SPARKS / span)] += 1;
  const most = counts.reduce((a, b) => Math.max(a, b)), height = 22, step = 4;
  const svg = drawn("svg", { class: "spark", viewBox: `0 0 ${SPARKS * step} ${height}`, "aria-hidden": "true" });
  counts.forEach((count, at) => {
    const tall = count ? Math.max(3, count * height / most) : 1;
    svg.append(drawn("rect", {
      class: count ? "some" : "none", x: (isArabic() ? SPARKS - 1 - at : at) * step, width: step - 1, y: height - tall, height: tall,
    }));
  });
  return svg;
}
