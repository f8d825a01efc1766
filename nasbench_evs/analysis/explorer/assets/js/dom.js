// Elements. Text is always text: nothing here takes HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

// A real table in a box of its own that scrolls where it is too wide. A cell is text, a node, or {text, number, style}.
export function table(caption, header, rows, name = "", shown = true) {
  const head = el("thead", {}, el("tr", {}, header.map((cell) => tableCell("th", cell, { scope: "col" }))));
  const body = el("tbody", {}, rows.map((row) => el("tr", {}, row.map(bodyCell))));
  const label = { "aria-label": caption };
  const made = el("table", { class: name, ...label }, header.length ? head : null, body);
  const box = el("div", { class: "scroll", tabindex: "0", role: "region", ...label }, made);
  return shown ? el("div", {}, el("p", { class: "caption" }, caption), box) : box; // a caption is as wide as the text, not as the table
}

function bodyCell(cell, column) {
  return column === 0 ? tableCell("th", cell, { scope: "row" }) : tableCell("td", cell, {});
}

function tableCell(tag, cell, attributes) {
  const plain = cell === null || typeof cell !== "object" || cell instanceof Node;
  const { text, number = false, style = null } = plain ? { text: cell } : cell;
  return el(tag, { ...attributes, class: number ? "number" : null, style }, text === null ? "–" : text);
}

export function field(label, control) {
  return el("label", { class: "field" }, label, control);
}

export function select(options, chosen, change) {
  const made = options.map(([value, text]) => el("option", { value, selected: value === chosen }, text));
  return el("select", { onchange: (event) => change(event.target.value) }, made);
}

export function heading(text, lead) {
  const title = el("h2", { tabindex: "-1" });
  title.append(text);
  return lead ? [title, el("p", { class: "lead" }, lead)] : [title];
}
