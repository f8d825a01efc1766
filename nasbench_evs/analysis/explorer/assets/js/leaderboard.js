// Who finds good architectures, in each regime, and how sure that is.

import { el, heading, table as tableOf } from "explorer/dom";
import { bracketed, count, fixed, percent } from "explorer/format";
import { intervals, lines } from "explorer/plots";
import { overview, remember } from "explorer/state";

const AXIS = "normalized regret at the end";

export function leaderboard(root, table, parameters) {
  const board = overview.leaderboard;
  if (!board) {
    root.append(...heading("Leaderboard", "No experiment is in this page. Make it with --results FOLDER, a folder that nasbench-evs experiment has written."));
    return;
  }
  const named = board.regimes.map(({ regime }) => regime);
  const below = el("div");
  const buttons = named.map((name) => el("button", { type: "button", onclick: () => choose(name) }, name));
  const choose = (name) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(named[i] === name)));
    below.replaceChildren(...regime(board.regimes[named.indexOf(name)]));
  };
  buttons.forEach((button, i) => button.addEventListener("click", () => remember("leaderboard", { table: table.name, regime: named[i] })));
  root.append(...heading(board.title, board.question), el("div", { class: "controls" }, el("div", { class: "choices", role: "group", "aria-label": "Regime" }, buttons)), below);
  choose(named.includes(parameters.get("regime")) ? parameters.get("regime") : named[0]);
}

function regime(found) {
  const rows = found.searchers.map((name, i) => ({ name, value: found.final.value[i], low: found.final.low[i], high: found.final.high[i] }));
  const best = rows[0].value;
  const band = found.detectable === null ? null : { low: best, high: best + found.detectable };
  return [
    el("p", { class: "lead" }, found.asks),
    intervals("Normalized regret of each searcher at the end, with 95 % intervals", rows, { x: AXIS, band }),
    el("p", { class: "trust", id: "detectable" }, detectable(found)),
    el("p", { class: "note" }, "Normalized regret: how far the best architecture found is behind the reference, as a share of what the median random architecture loses. 0 is the reference, 1 a random pick."),
    pooled(found),
    el("h3", {}, "Over the search"),
    lines("Mean normalized regret over the budget", found.searchers.map((name, i) => ({ name, values: found.curves[i] })),
      { x: "share of the budget", y: "normalized regret", xs: found.shares }),
    el("h3", {}, "Who beats whom"), wins(found),
    el("h3", {}, "Benchmark by benchmark"), benchmarks(found),
  ];
}

function detectable(found) {
  const over = `Means over ${count(found.benchmarks.length, "benchmark")} (${fixed(found.independent, 0)} independent) and ${count(found.seeds, "seed")}; intervals are about other benchmarks of this kind. `;
  if (found.detectable === null) return `${over}With so few seeds, or without a control, no difference could have been found for sure: the order may be chance.`;
  return `${over}The smallest true difference that these seeds find four times in five is ${fixed(found.detectable, 4)}, the shaded band: within it of the first, the order may be chance.`;
}

function pooled(found) {
  const controls = Object.entries(found.controls);
  const marks = found.marks.map((mark) => [`at ${mark.evaluations}`, mark, 3]);
  const columns = [...marks, [found.budgets.length === 1 ? `at ${found.budgets[0]}` : "at the end", found.final, 3], ["area under the curve", found.area, 3], ["mean rank", found.rank, 1]];
  const rows = found.searchers.map((name, i) => [name,
    ...columns.map(([, interval, digits]) => withInterval(interval, i, digits)),
    ...controls.map(([, tests]) => against(tests[i]))]);
  const header = ["searcher", ...columns.map(([text]) => ({ text, number: true })), ...controls.map(([name]) => ({ text: `less ${name}`, number: true }))];
  return el("div", {},
    tableOf("Normalized regret, smaller is better, with 95 % intervals", header, rows, "pooled"),
    controls.length ? el("p", { class: "note" }, "“less random”: mean difference, ± half of its 95 % interval; * significant after Holm (Wilcoxon, paired over seeds).") : null);
}

function withInterval(interval, i, digits) {
  const [value, ...rest] = bracketed(interval, i, digits).split(" ");
  return { text: el("span", {}, `${value} `, el("span", { class: "interval" }, rest.join(" "))), number: true };
}

function against(test) {
  if (test === null) return { text: null, number: true };
  const sign = test.difference < 0 ? "−" : "+";
  return { text: `${sign}${fixed(Math.abs(test.difference), 3)} ± ${fixed(test.half, 3)}${test.significant ? " *" : ""}`, number: true };
}

function wins(found) {
  const rows = found.searchers.map((name, i) => [name, ...found.searchers.map((_, j) => (i === j ? "" : won(found.wins, i, j)))]);
  return tableOf("How probably the row ends with a smaller regret than the column: same seed and benchmark, ties half, 95 % intervals", ["", ...found.searchers], rows, "wins");
}

function won(matrix, i, j) {
  const [value, low, high] = [matrix.value, matrix.low, matrix.high].map((part) => part[i][j]);
  const interval = el("span", { class: "interval" }, `[${Math.round(100 * low)}, ${Math.round(100 * high)}]`);
  return { text: el("span", {}, percent(value), el("br"), interval), style: `--win: ${Math.max(0, 2 * value - 1)}` };
}

function benchmarks(found) {
  const rows = found.benchmarks.map((each) => [each.name, each.metric,
    { text: `${fixed(each.reference, 4)} (${each.how})`, number: true }, { text: fixed(each.scale, 4), number: true },
    { text: `${each.resolved} of ${found.pairs}`, number: true }, { text: fixed(each.detectable, 4), number: true },
    ...each.regrets.map(([mean, half]) => ({ text: fixed(mean, 4) + (half === null ? "" : ` ± ${fixed(half, 4)}`), number: true }))]);
  const header = ["benchmark", "metric", ...["reference", "scale", "resolved pairs", "detectable", ...found.searchers].map((text) => ({ text, number: true }))];
  return tableOf("Regret at the end in each benchmark's own metric, ± half of a 95 % interval over seeds", header, rows, "benchmarks");
}
