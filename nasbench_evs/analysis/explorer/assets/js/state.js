// What the page holds, and where the reader is: the address after # names a view, a table, and what the view needs.

const read = (id) => JSON.parse(document.getElementById(id).textContent);

export const overview = read("overview");

const opened = new Map();

// A table's data, read when it is first looked at.
export function openTable(index) {
  if (!opened.has(index)) opened.set(index, withRows(read(`table-${index}`)));
  return opened.get(index);
}

function withRows(table) {
  const rows = table.architectures.text.map(() => []);
  table.records.architecture.forEach((owner, record) => rows[owner].push(record));
  const number = new Map(table.architectures.text.map((text, i) => [text, i]));
  return { ...table, recordsOf: rows, number };
}

export function place() {
  const [view, parameters = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { view, parameters: new URLSearchParams(parameters) };
}

export function address(view, parameters) {
  const known = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return `#/${view}?${new URLSearchParams(known)}`;
}

export function toArchitecture(table, i) {
  return address("architecture", { table: table.name, text: table.architectures.text[i] });
}

// Where the reader is after changing something within a view.
export function remember(view, parameters) {
  history.replaceState(null, "", address(view, parameters));
}
