// The card of one architecture.

import { el, heading, table as tableOf } from "explorer/dom";
import { count, fixed } from "explorer/format";
import { lines } from "explorer/plots";
import { toArchitecture } from "explorer/state";
import { neighbours } from "explorer/neighbours";
import { unknownSentence } from "explorer/search";

const MOST = 60; // neighbours listed

export function architecture(root, table, parameters) {
  const text = parameters.get("text") ?? "";
  const i = table.number.get(text);
  if (i === undefined) {
    root.append(...heading("Not recorded"), el("p", { class: "lead", id: "unknown" }, unknownSentence(table, text)));
    return;
  }
  root.append(
    ...heading(el("code", {}, text), standing(table, i)),
    el("div", { class: "columns" },
      el("section", {}, el("h3", {}, "Its parts"), parts(table, i)),
      el("section", {}, el("h3", {}, "What is known of it"), means(table, i))),
    el("h3", {}, "Trainings"), trainings(table, i), curves(table, i),
    el("h3", {}, "Neighbours"), ...near(table, i),
  );
}

function standing(table, i) {
  const { place, rank } = table.architectures;
  const scored = place.filter((each) => each !== null).length;
  const stands = place[i] === null ? "It has no score without teachers" : `Place ${fixed(place[i], 0)} of ${fixed(scored, 0)} by mean validation score`;
  return `${stands}. Rank ${rank[i]} in ${table.space}, recorded on ${table.dataset}.`;
}

// Active choices, those of one part together: "encoder.0.ops" and "encoder.0.heads" are both of encoder 1.
export function describe(table, i) {
  const found = new Map();
  table.choices.forEach((choice, c) => {
    const option = table.architectures.choices[c][i];
    if (option < 0) return;
    const pieces = choice.name.split(".").map((piece) => (/^\d+$/.test(piece) ? String(Number(piece) + 1) : piece.replaceAll("_", " ")));
    const last = pieces.length > 1 && !/^\d+$/.test(pieces.at(-1)) ? pieces.pop() : "";
    const name = pieces.join(" ");
    found.set(name, [...(found.get(name) ?? []), [last, choice.options[option]].filter(Boolean).join(" ")]);
  });
  return [...found].map(([name, values]) => [name, values.join(", ")]);
}

function parts(table, i) {
  const rows = describe(table, i).map(([name, values]) => [el("dt", {}, name), el("dd", {}, values)]);
  return el("dl", { class: "parts" }, rows);
}

function means(table, i) {
  const rows = table.columns.map((column) => [
    column.label, { text: fixed(table.architectures[column.key][i], column.digits) + (column.unit && table.architectures[column.key][i] !== null ? ` ${column.unit}` : ""), number: true }]);
  const proposed = ["proposed by", { text: table.samplers[table.architectures.sampler[i]], number: true }];
  return tableOf("What is known of it", [], [...rows, proposed], "facts", false);
}

function trainings(table, i) {
  const { seed, sampler, teachers, status, valid, test, seconds } = table.records;
  const rows = table.recordsOf[i].map((r) => [
    seed[r] === null ? "not recorded" : String(seed[r]), table.samplers[sampler[r]], teachers[r] ? "yes" : "no", status[r],
    ...[[valid, 4], [test, 4], [seconds, 2]].map(([column, digits]) => ({ text: fixed(column[r], digits), number: true }))]);
  const header = ["seed", "proposed by", "teachers", "outcome", ...[`validation ${table.metric}`, `test ${table.metric}`, "seconds"].map((text) => ({ text, number: true }))];
  return tableOf(count(rows.length, "training"), header, rows, "trainings");
}

function curves(table, i) {
  const { curve, seed, teachers } = table.records;
  const records = table.recordsOf[i].filter((r) => curve[r]?.length);
  if (!records.length) return el("p", { class: "note" }, curve.length ? "No learning curve was recorded." : "Learning curves are not in this page, or were not recorded.");
  const named = (r) => `seed ${seed[r] ?? "not recorded"}${teachers[r] ? ", with teachers" : ""}`;
  const longest = Math.max(...records.map((r) => curve[r].length));
  const xs = Array.from({ length: longest }, (_, epoch) => epoch + 1);
  return lines("Validation score after each epoch", records.map((r) => ({ name: named(r), values: curve[r] })),
    { x: "epoch", y: `validation ${table.metric}`, xs, points: true });
}

function near(table, i) {
  const found = neighbours(table, i);
  const { valid, test, text } = table.architectures;
  const said = el("p", { class: "note", id: "neighbours" },
    found.length
      ? `${count(found.length, "recorded architecture")} at distance 1: one choice differs, and what that switches on or off.${found.length > MOST ? ` The ${MOST} best by validation score are listed.` : ""}`
      : "No recorded architecture is at distance 1 (one choice differs, and what that switches on or off).");
  if (!found.length) return [said];
  const worth = ({ other }) => (valid[other] === null ? Infinity : -table.sign * valid[other]);
  const rows = found.sort((a, b) => worth(a) - worth(b)).slice(0, MOST).map(({ other, choice }) => [
    el("a", { href: toArchitecture(table, other) }, el("code", {}, text[other])), differs(table, choice, i, other),
    { text: fixed(valid[other], 4), number: true },
    { text: valid[other] === null || valid[i] === null ? null : signed(valid[other] - valid[i]), number: true },
    { text: fixed(test[other], 4), number: true }]);
  const header = ["architecture", "what differs", ...["validation", "difference", "test"].map((each) => ({ text: each, number: true }))];
  return [said, tableOf("Neighbours with mean scores", header, rows, "neighbours")];
}

function differs(table, choice, i, other) {
  const { name, options } = table.choices[choice];
  const option = (k) => options[table.architectures.choices[choice][k]];
  return `${name}: ${option(i)} → ${option(other)}`;
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${fixed(Math.abs(value), 4)}`;
}
