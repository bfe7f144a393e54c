// Words, numbers and elements, in the page's language.
const at = (id) => document.getElementById(id);
const isArabic = () => state.language === "ar";
// Values are isolated from the text around them: in a line of Arabic the parts of a date would be reordered. No
// line breaks within a date.
const isolated = (value) => `\u2066${String(value).replace(/(\d-)(?=\d)/g, "$1\u2060")}\u2069`;
const word = (key, values = {}) => data.words[state.language][key]
  .replace(/\{(\w+)\}/g, (all, name) => values[name] === undefined ? all : isolated(values[name]));
const NUMBERS = new Intl.NumberFormat("en-US");
const number = (value) => NUMBERS.format(value);
const percent = (part, whole) => whole ? `${Math.round(100 * part / whole)}%` : "–";
// Invisible marks are not part of a tab's name, nor of a file.
const unmarked = (text) => text.replace(/[\u2060\u2066\u2069]/g, "");

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(className, label, act) {
  const made = element("button", className, label);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

// A line of the first screen, in a button: a figure or badge, what it is, and facts below.
function line(made, lead, text, facts) {
  const title = element("span", "text", text);
  title.dir = "auto";
  made.append(lead, title, element("span", "facts", facts.filter(Boolean).join(" · ")));
  return made;
}

function drawn(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function name(dimension, code) {
  if (code < 0) return word("unknown");
  const [id, arabic, english] = data.names[dimension][code];
  if (dimension === "urgency" && data.words.urgencies[id]) return data.words.urgencies[id][isArabic() ? 0 : 1];
  const own = isArabic() ? arabic : english;
  return dimension === "block" ? `${word("block")} ${own}` : own;
}

function reasonName(code) {
  const id = data.names.reason[code][0];
  return (data.words.reasons[id] ?? [id, id])[isArabic() ? 0 : 1];
}

function placeName(row) {
  const block = column.block[row];
  // The name of a block that is numbered within its town ends with the town's.
  const town = data.blocksWithinTowns && block >= 0 ? UNKNOWN : column.town[row];
  return [["governorate", column.governorate[row]], ["town", town], ["block", block]]
    .filter(([, code]) => code >= 0).map(([dimension, code]) => name(dimension, code)).join(" · ");
}

const urgencyId = (row) => column.urgency[row] < 0 ? "" : data.names.urgency[column.urgency[row]][0];
const URGENT = ["emergency", "urgent"];
const urgencyRank = (row) => URGENT.includes(urgencyId(row)) ? URGENT.indexOf(urgencyId(row)) : URGENT.length;
const isUrgent = (row) => urgencyRank(row) < URGENT.length;

// Red is for what is more likely right than not.
const SURE = 50;

function urgencyBadge(row) {
  if (!isUrgent(row)) return "";
  const doubtful = column.urgencyPercent[row] < SURE ? " doubtful" : "";
  return element("span", `badge ${urgencyId(row)}${doubtful}`, name("urgency", column.urgency[row]) + (doubtful && (isArabic() ? "؟" : "?")));
}

const dateName = (row) => column.day[row] >= 0 ? isolated(dateOf(column.day[row])) : data.dated && word("undated");

// Whole words only, if any.
const beginning = (text, most) => text.length > most ? `${text.slice(0, most + 1).replace(/\s+\S*$/, "").slice(0, most)}…` : text;
