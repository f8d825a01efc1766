// What a table is, and the cards beside it.

import { el, heading, table as tableOf } from "explorer/dom";
import { noiseSentence, splitSentence } from "explorer/trust";

export function dataset(root, table) {
  root.append(
    ...heading(`${table.dataset}, ${table.space}`, "What was recorded, how, and how much of a score is chance."),
    el("p", { class: "trust" }, ["valid", "test"].map((split) => `${noiseSentence(table, split)} `), splitSentence(table)),
    tableOf("What was recorded", [], table.facts, "facts", false),
  );
  card(root, "Card of the table", table.cards.table, table.cards.figures);
  card(root, "Card of the dataset", table.cards.dataset, table.cards.figures);
  if (!table.cards.table && !table.cards.dataset) root.append(el("p", { class: "note" }, "No card lies beside this table."));
}

// The only HTML that the page takes over: of cards, by a renderer that lets no HTML of theirs through.
function card(root, title, html, figures) {
  if (!html) return;
  const body = el("article", { class: "card" });
  body.innerHTML = html;
  for (const image of body.querySelectorAll("img[data-figure]")) {
    const source = figures[image.dataset.figure];
    if (source) image.src = source;
    else image.replaceWith(el("em", {}, `Figure left out: ${image.alt}.`));
  }
  root.append(el("h3", {}, title), body);
}
