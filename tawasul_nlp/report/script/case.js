// One case: in a list, and whole in a dialog.
function marked(text) {
  const made = element("div", "text");
  made.dir = "auto";
  // Folding may change lengths, so only plain matches are coloured.
  const words = state.search.split(/\s+/).filter(Boolean).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = words.length ? text.split(new RegExp(`(${words.join("|")})`)) : [text];
  made.append(...parts.map((part, at) => at % 2 ? element("mark", "", part) : part));
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

function factsOf({ row, id, reasons, otherTopics, place, group }) {
  const facts = element("div", "facts");
  facts.append(urgencyBadge(row), fact("", id));
  if (dateName(row)) facts.append(fact("", dateName(row)));
  for (const dimension of ["agency", "topic", "kind"]) facts.append(fact(word(dimension), name(dimension, column[dimension][row])));
  if (otherTopics.length) facts.append(fact(word("alsoAbout"), otherTopics.map((code) => name("topic", code)).join("، ")));
  if (column.routed[row] >= 0) {
    facts.append(fact(word("routed"), name("routed", column.routed[row]), column.misrouted[row] ? "reason" : ""));
  }
  const places = [placeName(row), place].filter(Boolean).join(" · ");
  if (places) facts.append(fact("", places));
  facts.append(fact(word("certainty"), `${column.percent[row]}%`));
  if (group) facts.append(fact(word("incident"), group));
  for (const reason of reasons) facts.append(element("span", "reason", reasonName(reason)));
  return facts;
}

function drawCase(one) {
  const made = element("article", "case");
  made.append(marked(one.text), factsOf(one));
  return made;
}

function openCase(one) {
  const dialog = at("case"), buttons = element("p", "buttons");
  const title = element("h2", "", name("topic", column.topic[one.row]));
  title.id = "case-title";
  const incident = column.incident[one.row], size = sizeOf(incident);
  if (size > 1) buttons.append(button("", word("showReports", { n: number(size) }), () => { dialog.close(); showIncident(incident); }));
  if (isUrgent(one.row)) buttons.append(...["notUrgent", "falseAlarm", "handled"].map((key) => settleButton(one, key, dialog)));
  buttons.append(button("", word("close"), () => dialog.close()));
  dialog.replaceChildren(title, drawCase(one), correctionFields(one), buttons);
  dialog.showModal();
}

function showCases(changes) {
  change(changes);
  at("section-cases").scrollIntoView();
}

const showIncident = (incident) => showCases({ ...nothingChosen(), incident });
