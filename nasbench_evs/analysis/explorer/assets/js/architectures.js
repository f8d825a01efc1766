// Any two columns of a table against each other.

import { el, field, heading, select, table as tableOf } from "explorer/dom";
import { count, fixed } from "explorer/format";
import { dots } from "explorer/plots";
import { remember, toArchitecture } from "explorer/state";
import { noiseSentence, splitSentence } from "explorer/trust";

const MOST = 20; // rows below the plot

export function architectures(root, table, parameters) {
  const keys = table.columns.map((column) => column.key);
  const pick = (name, ...wanted) => [parameters.get(name), ...wanted].find((key) => keys.includes(key));
  const chosen = { x: pick("x", "seconds", "predicted_valid", "place"), y: pick("y", "valid", keys[0]) };
  const below = el("div");
  const change = (name) => (value) => {
    chosen[name] = value;
    remember("architectures", { table: table.name, ...chosen });
    draw(below, table, chosen);
  };
  const options = table.columns.map((column) => [column.key, column.label]);
  const controls = el("div", { class: "controls" },
    field("Up", select(options, chosen.y, change("y"))), field("Across", select(options, chosen.x, change("x"))));
  root.append(...heading("Architectures", "Every recorded architecture is a mark: means over its trainings without teachers."), controls, below);
  draw(below, table, chosen);
}

function draw(below, table, chosen) {
  const column = (key) => table.columns.find((each) => each.key === key);
  const [x, y] = [column(chosen.x), column(chosen.y)];
  const { text } = table.architectures;
  const known = (i) => [x, y].every(({ key }) => table.architectures[key][i] !== null);
  const shown = text.map((_, i) => i).filter(known);
  const lost = text.length - shown.length;
  if (!shown.length) {
    below.replaceChildren(el("p", { class: "note" }, "No architecture has both of these."));
    return;
  }
  const label = `${y.label} against ${x.label}, ${count(shown.length, "architecture")}`;
  const open = (i) => { location.hash = toArchitecture(table, i); };
  const split = y.key.includes("test") ? "test" : "valid";
  below.replaceChildren(
    dots(label, table, shown, { x, y, open }),
    el("p", { class: "note", id: "shown" }, `${count(shown.length, "architecture")} shown${lost ? `; ${fixed(lost, 0)} left out, which lack one of the two` : ""}.`),
    el("p", { class: "trust" }, `${noiseSentence(table, split)} ${splitSentence(table)}`),
    best(table, shown, x, y),
  );
}

function best(table, shown, x, y) {
  const score = /^(predicted_)?(valid|test)$/.test(y.key);
  const sign = score ? table.sign : y.key === "place" ? -1 : 1;
  const { text } = table.architectures;
  const value = (column, i) => table.architectures[column.key][i];
  const order = [...shown].sort((a, b) => sign * (value(y, b) - value(y, a))).slice(0, MOST);
  const others = table.columns.filter(({ key }) => ["valid", "valid_std", "test", "trainings"].includes(key));
  const columns = [...new Set([y, x, ...others])];
  return tableOf(
    `The ${order.length} ${score || y.key === "place" ? "best" : "largest"} by ${y.label}`,
    ["architecture", ...columns.map(({ label }) => ({ text: label, number: true }))],
    order.map((i) => [el("a", { href: toArchitecture(table, i) }, el("code", {}, text[i])),
      ...columns.map((column) => ({ text: fixed(value(column, i), column.digits), number: true }))]),
    "best",
  );
}
