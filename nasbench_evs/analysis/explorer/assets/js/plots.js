// Plots of the views, by Observable Plot (a global of the vendored script).

import { el } from "explorer/dom";
import { short } from "explorer/format";

const DRAWN = "explorer-drawn"; // by which benchmarks/explore.py knows when a plot was on the screen
const COLORS = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)"];
const SYMBOLS = ["circle", "triangle", "square", "diamond", "cross"];

// A box whose plot is drawn for its width, and again when that changes.
export function plotBox(label, draw) {
  const box = el("div", { class: "plot" });
  let drawn = 0;
  const redraw = () => {
    const width = Math.floor(box.clientWidth);
    if (!width || width === drawn) return;
    drawn = width;
    const figure = draw(width);
    const svg = figure.matches("svg") ? figure : figure.querySelector(":scope > svg:last-of-type");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    box.replaceChildren(figure);
    requestAnimationFrame(() => performance.mark(DRAWN));
  };
  new ResizeObserver(redraw).observe(box);
  return box;
}

// Means with intervals, one row each: {name, value, low, high, key}. `band` shades from one value to another.
export function intervals(label, rows, { x = null, domain, band }) {
  return plotBox(label, (width) => {
    const longest = Math.max(...rows.map((row) => short(row.name).length));
    const known = rows.filter((row) => row.value !== null);
    return Plot.plot({
      width,
      height: 26 * rows.length + (x ? 54 : 34),
      marginTop: 8,
      marginLeft: Math.min(0.45 * width, 7.2 * longest + 18),
      marginRight: 16,
      marginBottom: x ? 42 : 22,
      x: { label: x, domain, grid: true, nice: !domain, ticks: Math.max(3, Math.floor(width / 110)) },
      y: { label: null, domain: rows.map((row) => row.name), tickFormat: (name) => short(name), tickSize: 0 },
      marks: [
        band ? Plot.rect([band], { x1: "low", x2: "high", fill: "var(--accent)", fillOpacity: 0.1 }) : null,
        Plot.ruleY(known, { y: "name", x1: "low", x2: "high", stroke: "var(--quiet)", strokeWidth: 1.5 }),
        Plot.dot(known, { y: "name", x: "value", r: 4, fill: "var(--accent)", className: "means" }),
      ],
    });
  });
}

// Lines over a shared x, each named at its end where there is room.
export function lines(label, series, { x, y, xs, points = false }) {
  const rows = series.flatMap(({ name, values }) => values.map((value, i) => ({ name, x: xs[i], y: value })));
  const known = rows.filter((row) => row.y !== null);
  const names = series.map(({ name }) => name);
  const scale = { domain: names, range: names.map((_, i) => COLORS[i % COLORS.length]) };
  const marker = names.map((_, i) => SYMBOLS[(i + Math.floor(i / COLORS.length)) % SYMBOLS.length]); // no two lines look alike
  return plotBox(label, (width) =>
    Plot.plot({
      width,
      height: Math.min(360, 0.7 * width + 60),
      marginRight: 16,
      marginBottom: 44,
      x: { label: x, ticks: Math.min(xs.length - 1 || 1, Math.max(3, Math.floor(width / 110))) },
      y: { label: y, grid: true },
      color: scale,
      symbol: { domain: names, range: marker, legend: names.length > 1, tickFormat: (name) => short(name) },
      marks: [
        Plot.line(known, { x: "x", y: "y", z: "name", stroke: "name", strokeWidth: 1.5 }),
        points || names.length > 1
          ? Plot.dot(known.filter((_, i) => points || i % 8 === 4), { x: "x", y: "y", stroke: "name", symbol: "name", r: 3 })
          : null,
        Plot.tip(known, Plot.pointer({ x: "x", y: "y", title: (row) => `${row.name}\n${x} ${row.x}\n${row.y}` })),
      ],
    }),
  );
}

// One mark for each architecture in `shown`; a click on it, or Enter after walking to it with the arrow keys, opens it.
export function dots(label, table, shown, { x, y, diagonal = false, open }) {
  const columns = table.architectures;
  const named = table.samplers;
  const used = [...new Set(shown.map((i) => columns.sampler[i]))].sort((a, b) => a - b);
  const category = (i) => named[columns.sampler[i]];
  const domain = used.map((k) => named[k]);
  const values = (column) => (i) => columns[column.key][i];
  const title = (i) => `${short(columns.text[i], 40)}\n${short(y.label, 34)}  ${values(y)(i)}\n${short(x.label, 34)}  ${values(x)(i)}`;
  const box = plotBox(label, (width) => {
    const figure = Plot.plot({
      width,
      height: Math.min(520, 0.75 * width + 70),
      marginLeft: 56,
      marginBottom: 44,
      x: { label: axis(x, shown, values(x)), type: scaleType(shown, values(x)), grid: true, ticks: Math.max(3, Math.floor(width / 110)), tickFormat: tickFormat(x), nice: true },
      y: { label: axis(y, shown, values(y)), type: scaleType(shown, values(y)), grid: true, ticks: 6, tickFormat: tickFormat(y), nice: true },
      color: { domain, range: COLORS },
      symbol: { domain, range: SYMBOLS, legend: domain.length > 1, tickFormat: (name) => short(name) },
      marks: [
        diagonal ? Plot.line(span(shown, values(x), values(y)), { x: "v", y: "v", stroke: "var(--quiet)", strokeDasharray: "4 4" }) : null,
        Plot.dot(shown, { x: values(x), y: values(y), stroke: category, symbol: category, r: shown.length > 2000 ? 1.8 : 3, strokeOpacity: shown.length > 2000 ? 0.5 : 0.75, className: "architectures" }),
        Plot.tip(shown, Plot.pointer({ x: values(x), y: values(y), title, fontSize: 12 })),
      ],
    });
    figure.addEventListener("click", () => figure.value !== null && figure.value !== undefined && open(figure.value));
    return figure;
  });
  walkable(box, shown, values(x), label, title, open);
  return box;
}

// The arrow keys walk from point to point along x; what is under the cursor is said in a line below.
function walkable(box, shown, value, label, title, open) {
  const order = [...shown].sort((a, b) => value(a) - value(b));
  const said = el("p", { class: "note", "aria-live": "polite" }, "Point at a mark, or focus the plot and use the arrow keys; click or Enter opens the architecture.");
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 25, PageDown: -25 };
  let at = -1;
  box.classList.add("walk");
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `${label}. Arrow keys walk, Enter opens.`);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && at >= 0) return open(order[at]);
    if (!(event.key in steps)) return undefined;
    event.preventDefault();
    at = Math.min(order.length - 1, Math.max(0, at + steps[event.key]));
    mark(box, shown.indexOf(order[at]));
    said.textContent = title(order[at]).replaceAll("\n", " · ");
    return undefined;
  });
  queueMicrotask(() => box.after(said));
}

function mark(box, position) {
  box.querySelector(".at")?.classList.remove("at");
  box.querySelector("g.architectures").children[position].classList.add("at");
}

function scaleType(shown, value) {
  const known = shown.map(value);
  const [low, high] = [d3.min(known), d3.max(known)];
  return low > 0 && high / low > 30 ? "log" : "linear";
}

function axis(column, shown, value) {
  const unit = column.unit ? `, ${column.unit}` : "";
  return `${column.label}${unit}${scaleType(shown, value) === "log" ? " (log)" : ""}`;
}

function tickFormat(column) {
  return { params: "~s", flops: "~s", seconds: "~g" }[column.key];
}

function span(shown, x, y) {
  const low = Math.max(d3.min(shown, x), d3.min(shown, y));
  const high = Math.min(d3.max(shown, x), d3.max(shown, y));
  return [{ v: low }, { v: high }];
}
