// What each option of each choice is worth on average.

import { el, field, heading, select, table as tableOf } from "explorer/dom";
import { count, fixed } from "explorer/format";
import { intervals } from "explorer/plots";
import { remember } from "explorer/state";

export function effects(root, table, parameters) {
  const splits = ["valid", "test"].filter((split) => table.effects[split]);
  const { samplers, chosen } = table.effects;
  const of = samplers.join(", ");
  root.append(...heading("Choices", "The mean score of the architectures with each option, whatever their other choices, with its 95 % interval."));
  if (!splits.length) {
    root.append(el("p", { class: "note" }, "No training has a score."));
    return;
  }
  const split = splits.includes(parameters.get("split")) ? parameters.get("split") : splits[0];
  const below = el("div");
  const change = (value) => {
    remember("choices", { table: table.name, split: value });
    draw(below, table, value);
  };
  const names = { valid: "validation", test: "test" };
  root.append(
    el("p", { class: "trust" }, chosen
      ? `Careful: all architectures here were chosen by a search (${of}), which looks at scores. A mean says what the search kept of an option, not what the option is worth.`
      : `Over recorded architectures that no search chose (proposed by: ${of}). Intervals are of single means: with many options, some will lie apart by chance.`),
    splits.length > 1 ? el("div", { class: "controls" }, field("Score", select(splits.map((each) => [each, names[each]]), split, change))) : "",
    below,
  );
  draw(below, table, split);
}

function draw(below, table, split) {
  const found = table.effects[split];
  const rows = found.choices.flat().filter(([n]) => n > 1);
  const lows = rows.map(([, , low]) => low), highs = rows.map(([, , , high]) => high);
  const domain = [d3.min(lows), d3.max(highs)];
  const plots = table.choices.map((choice, c) => oneChoice(table, choice, found.choices[c], domain));
  below.replaceChildren(
    el("p", { class: "note", id: "counted" }, `${count(found.architectures, "architecture")}, mean ${fixed(found.mean, 4)} ${table.metric}. All plots have the same scale, ${table.metric}.`),
    el("div", { class: "small-multiples" }, plots),
    el("details", {}, el("summary", {}, "The numbers"), numbers(table, found)),
  );
}

function oneChoice(table, choice, options, domain) {
  const rows = options.map(([, value, low, high], o) => ({ name: choice.options[o], value, low: low ?? value, high: high ?? value }));
  const under = choice.parent === null ? "" : ` (where ${table.choices[choice.parent].name} allows it)`;
  return el("section", { class: "choice" }, el("h4", {}, choice.name),
    intervals(`Mean ${table.metric} of each option of ${choice.name}${under}`, rows, { domain }));
}

function numbers(table, found) {
  const rows = table.choices.flatMap((choice, c) => found.choices[c].map(([n, value, low, high], o) => [
    choice.name, choice.options[o], ...[[n, 0], [value, 4], [low, 4], [high, 4]].map(([each, digits]) => ({ text: fixed(each, digits), number: true })),
  ]));
  const header = ["choice", "option", ...["architectures", "mean", "low", "high"].map((text) => ({ text, number: true }))];
  return tableOf("Mean score of each option, with the ends of its 95 % interval", header, rows, "effects");
}
