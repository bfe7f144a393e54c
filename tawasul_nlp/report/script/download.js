// Files that the page gives the browser to save.

// As the table's writers do: what a spreadsheet would run as a formula gets an apostrophe, also where it begins a cell
// for a program that separates by other signs.
const NUMBER = /^[+-]?[\d .,:()/%-]+$/;
const escaped = (cell) => NUMBER.test(cell) ? cell
  : cell.replace(/(^|[,;\t|\r\n])([\s"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*)(?=[=+\-@\u2212\uff0b\uff0d\uff1d\uff20])/g, "$1$2'");

// A field is a name with a function from a row to its cell.
function asCsv(fields, rows) {
  const lines = [Object.keys(fields), ...rows.map((one) => Object.values(fields).map((value) => escaped(value(one))))];
  return lines.map((cells) => cells.map((cell) => /[",\r\n]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell).join(",")).join("\r\n");
}

function save(name, csv) {
  const link = element("a");
  // The mark at the start tells Excel that the file is UTF-8.
  link.href = URL.createObjectURL(new Blob([`\ufeff${csv}\r\n`], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
