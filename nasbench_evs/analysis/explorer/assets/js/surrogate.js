// Predicted against recorded.

import { el, field, heading, select, table as tableOf } from "explorer/dom";
import { count, fixed } from "explorer/format";
import { dots } from "explorer/plots";
import { remember, toArchitecture } from "explorer/state";

const NAMES = { kendall_tau: "Kendall's tau", r2: "R²", mean_absolute_error: "mean absolute error" };

export function surrogate(root, table, parameters) {
  root.append(...heading("Surrogate", "What the surrogate predicts of recorded architectures by models that saw no training of them, against the means of what was recorded."));
  const splits = Object.keys(table.surrogate.splits);
  if (!splits.length) {
    root.append(el("p", { class: "note", id: "no-surrogate" }, table.surrogate.message));
    return;
  }
  const split = splits.includes(parameters.get("split")) ? parameters.get("split") : splits[0];
  const below = el("div");
  const change = (value) => {
    remember("surrogate", { table: table.name, split: value });
    draw(below, table, value);
  };
  if (splits.length > 1) root.append(el("div", { class: "controls" }, field("Score", select(splits.map((each) => [each, each === "valid" ? "validation" : "test"]), split, change))));
  root.append(below);
  draw(below, table, split);
}

function draw(below, table, split) {
  const found = table.surrogate.splits[split];
  const column = (key) => table.columns.find((each) => each.key === key);
  const [x, y] = [column(`predicted_${split}`), column(split)];
  if (!x || !y) {
    below.replaceChildren(el("p", { class: "note" }, "No architecture has both a prediction and a score."));
    return;
  }
  const shown = table.architectures.text.map((_, i) => i)
    .filter((i) => table.architectures[x.key][i] !== null && table.architectures[y.key][i] !== null);
  const open = (i) => { location.hash = toArchitecture(table, i); };
  below.replaceChildren(
    dots(`Recorded against predicted ${table.metric}, ${count(shown.length, "architecture")}`, table, shown, { x, y, diagonal: true, open }),
    el("p", { class: "trust", id: "agreement" },
      `Over ${count(found.architectures, "architecture")}, Kendall's tau between predicted and recorded means is ${fixed(found.tau, 3)}, and they ` +
      `are ${fixed(found.error, 4)} apart on average. A recorded mean of few trainings is itself partly chance: no surrogate can reach 1.`),
    cardFigures(found),
    reference(found, table),
  );
}

function cardFigures(found) {
  const rows = Object.entries(found.card).map(([name, [mean, half]]) => [NAMES[name], { text: `${fixed(mean, 3)} ± ${fixed(half, 3)}`, number: true }]);
  return rows.length ? tableOf("From the surrogate's card: of single held-out trainings, ± half of a 95 % interval over folds", [], rows, "facts") : "";
}

function reference(found, table) {
  if (!found.reference) return "";
  const { value, architecture, how } = found.reference;
  return el("p", { class: "note" }, `The ${table.sign > 0 ? "highest" : "lowest"} mean that a long search of the surrogate knows (${how}), against which regret is measured: `,
    el("strong", {}, fixed(value, 4)), ` ${table.metric}, of `, el("code", {}, architecture), ". It is a prediction: nobody need have trained it.");
}
