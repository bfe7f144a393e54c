// What the officer chose. It stands in the address too, so a view can be kept, sent to a colleague, and gone back to.
const PERIODS = [28, 7];
const nothingChosen = () => ({ chosen: {}, incident: null, from: "", to: "", review: false, misrouted: false, search: "", list: "" });
const state = { language: "ar", period: PERIODS[0], sort: "", order: "size", ...nothingChosen() };
const codeOf = Object.fromEntries(DIMENSIONS.map((dimension) =>
  [dimension, new Map(data.names[dimension].map(([id], code) => [id, code]))]));

function address() {
  const parts = new URLSearchParams();
  const put = (key, value) => { if (value) parts.set(key, value); };
  for (const [dimension, code] of Object.entries(state.chosen)) {
    put(dimension, code < 0 ? "unknown" : data.names[dimension][code][0]);
  }
  put("incident", state.incident === null ? "" : String(state.incident));
  put("from", state.from);
  put("to", state.to);
  put("review", state.review && "1");
  put("misrouted", state.misrouted && "1");
  put("search", state.search);
  put("list", state.list);
  put("sort", state.sort);
  put("order", state.order !== "size" && state.order);
  put("days", state.period !== PERIODS[0] && String(state.period));
  put("language", state.language !== "ar" && state.language);
  return `#${parts}`;
}

// A step back undoes a choice; what is typed letter by letter is one step.
function keepAddress(typed = false) {
  const wanted = address();
  if (wanted === (location.hash || "#")) return;
  history[typed ? "replaceState" : "pushState"](null, "", wanted);
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const given = (key) => parts.get(key) ?? "";
  const date = (key) => /^\d{4}-\d\d-\d\d$/.test(given(key)) && !Number.isNaN(Date.parse(given(key))) ? given(key) : "";
  Object.assign(state, nothingChosen(), { from: date("from"), to: date("to"), search: given("search") });
  for (const dimension of DIMENSIONS) {
    const code = given(dimension) === "unknown" ? UNKNOWN : codeOf[dimension].get(given(dimension));
    if (code !== undefined) state.chosen[dimension] = code;
  }
  const incident = Number(given("incident") || NaN);
  if (Number.isInteger(incident) && incident >= 0 && incident < data.incidentCount) state.incident = incident;
  state.review = given("review") === "1";
  state.list = given("list") === "urgent" && has.urgency ? "urgent" : "";
  state.misrouted = given("misrouted") === "1" && Boolean(column.misrouted);
  state.sort = columnsShown.some((one) => one.value && one.key === given("sort").split(".")[0]) ? given("sort") : "";
  state.order = Object.hasOwn(ORDERS, given("order")) ? given("order") : "size";
  state.period = PERIODS.includes(Number(given("days"))) ? Number(given("days")) : PERIODS[0];
  state.language = given("language") === "en" ? "en" : "ar";
}

function change(changes) {
  Object.assign(state, changes);
  keepAddress();
  refresh();
}

function choose(dimension, code, also = {}) {
  const { [dimension]: before, ...others } = state.chosen;
  change({ ...also, chosen: before === code ? others : { ...others, [dimension]: code } });
}

// A selection button. Redrawing replaces it with another, which then gets the keyboard's focus.
function chooser(className, dimension, code) {
  const made = button(className, "", () => choose(dimension, code));
  made.dataset.choice = `${dimension} ${code}`;
  made.setAttribute("aria-pressed", String(state.chosen[dimension] === code));
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
  const made = button("more", label, () => keepingFocus(draw));
  made.dataset.choice = choice;
  return made;
}
