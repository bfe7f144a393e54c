// What the officer says is wrong. The page keeps it until it is saved as a file for `tawasul corrections apply`.
const TASKS = ["agency", "topic", "kind", ...(has.urgency ? ["urgency"] : [])];
const corrections = new Map();  // by row: the right label of a task, checked, incident, merge, handled
let unsaved = false;

function correct(one, key, value) {
  const { [key]: _, ...others } = corrections.get(one.row) ?? {};
  const now = value ? { ...others, [key]: value } : others;
  if (Object.keys(now).length) corrections.set(one.row, now); else corrections.delete(one.row);
  unsaved = corrections.size > 0;
  drawCorrections();
}

// One click tells what became of an urgent case, which then leaves the list of what is dangerous.
const SETTLED = { notUrgent: { urgency: "normal" }, falseAlarm: { urgency: "normal", checked: "yes" }, handled: { handled: "yes" } };

function settleButton(one, key, dialog) {
  const made = button("", word(key), () => {
    for (const [field, value] of Object.entries(SETTLED[key])) correct(one, field, value);
    dialog.close();
    refresh();
  });
  made.dataset.settle = key;
  return made;
}

// What of an urgent report is settled: that one by another urgency, and all of an incident when one of them is handled.
function settled() {
  const handled = new Set([...corrections].filter(([, said]) => said.handled).map(([row]) => column.incident[row]));
  return (row) => Boolean(corrections.get(row)?.urgency) || handled.has(column.incident[row]);
}

function drawCorrections() {
  at("corrections").hidden = !corrections.size;
  at("corrections").textContent = word("saveCorrections", { n: number(corrections.size) });
}

function saveCorrections() {
  const written = (key) => ({ row }) => corrections.get(row)[key] ?? "";
  const rows = [...corrections.keys()].sort((a, b) => a - b).map((row) => caseOfRow.get(row));
  save("corrections.csv", asCsv({
    row: (one) => String(one.number),
    id: (one) => one.id,
    ...Object.fromEntries(TASKS.map((task) => [`correct_${task}`, written(task)])),
    ...(data.grouped ? { correct_incident: written("incident"), merge_with: written("merge") } : {}),
    checked: written("checked"),
    ...(has.urgency ? { handled: written("handled") } : {}),
  }, rows));
  unsaved = false;
}

// The fields of one case's corrections; each begins with what was said before.
function correctionFields(one) {
  const made = element("details", "correct"), before = corrections.get(one.row) ?? {};
  const labelled = (label, field, className) => {
    const place = element("label", className);
    place.append(...(className ? [field, label] : [label, field]));
    made.append(place);
  };
  made.append(element("summary", "", word("correct")), element("p", "quiet", word("correctNote")));
  for (const task of TASKS) {
    const field = element("select"), { compare } = COLLATOR[state.language];
    const labels = [...data.names[task].map(([id], code) => [id, name(task, code)]),
      ...data.otherLabels[task].map(([id, arabic, english]) => [id, isArabic() ? arabic : english])];
    fill(field, [["", word("asIs")], ...labels.sort((a, b) => compare(a[1], b[1]))]);
    field.value = before[task] ?? "";
    field.addEventListener("change", () => correct(one, task, field.value));
    labelled(word(task), field);
  }
  const checks = [["checked", "yes", "allRight"]];
  if (sizeOf(column.incident[one.row]) > 1) checks.push(["incident", "new", "otherIncident"]);
  for (const [key, value, label] of checks) {
    const field = element("input");
    field.type = "checkbox";
    field.checked = before[key] === value;
    field.addEventListener("change", () => correct(one, key, field.checked ? value : ""));
    labelled(word(label), field, "check");
  }
  if (one.group) {
    const field = element("input");
    field.inputMode = "numeric";
    field.value = before.merge ?? "";
    field.addEventListener("change", () => correct(one, "merge", field.value.trim()));
    labelled(word("sameAs"), field);
  }
  made.open = corrections.has(one.row);
  return made;
}
