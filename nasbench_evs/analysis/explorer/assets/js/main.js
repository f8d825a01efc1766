// The page: which view is shown, of which table.

import { byId, el } from "explorer/dom";
import { architecture } from "explorer/architecture";
import { architectures } from "explorer/architectures";
import { dataset } from "explorer/dataset";
import { effects } from "explorer/effects";
import { leaderboard } from "explorer/leaderboard";
import { find, showFound } from "explorer/search";
import { address, openTable, overview, place, toArchitecture } from "explorer/state";
import { surrogate } from "explorer/surrogate";
import { startTheme } from "explorer/theme";

const VIEWS = [
  ["leaderboard", "Leaderboard", leaderboard],
  ["architectures", "Architectures", architectures],
  ["choices", "Choices", effects],
  ["surrogate", "Surrogate", surrogate],
  ["dataset", "Dataset", dataset],
];
const HIDDEN = [["architecture", "Architectures", architecture]];
const FIRST = overview.leaderboard ? "leaderboard" : "architectures";

let current = 0;

function show(moved) {
  const { view, parameters } = place();
  const named = overview.tables.findIndex(({ name }) => name === parameters.get("table"));
  current = named < 0 ? current : named;
  const table = openTable(current);
  const [key, , render] = [...VIEWS, ...HIDDEN].find(([name]) => name === view) ?? VIEWS.find(([name]) => name === FIRST);
  byId("table").value = String(current);
  navigation(key, table);
  const main = byId("main");
  main.replaceChildren();
  render(main, table, parameters);
  document.title = `${main.querySelector("h2").textContent} · nasbench-evs explorer`;
  document.documentElement.dataset.view = key;
  if (moved) {
    byId("found").replaceChildren();
    main.querySelector("h2").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function navigation(key, table) {
  const shown = key === "architecture" ? "architectures" : key;
  const links = VIEWS.map(([name, text]) => el("a", { href: address(name, { table: table.name }), "aria-current": name === shown ? "page" : null }, text));
  byId("views").replaceChildren(...links);
}

function startControls() {
  const select = byId("table");
  select.append(...overview.tables.map(({ name }, i) => el("option", { value: i }, name)));
  select.addEventListener("change", () => {
    const view = place().view === "architecture" ? "architectures" : place().view || FIRST;
    location.hash = address(view, { table: overview.tables[Number(select.value)].name });
  });
  const query = byId("query");
  query.addEventListener("input", () => showFound(openTable(current), query.value.trim()));
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const table = openTable(current);
    const found = find(table, query.value.trim());
    if (query.value.trim() && found.length) location.hash = toArchitecture(table, found[0]);
    else showFound(table, query.value.trim());
  });
}

function startFooter() {
  byId("left-out").textContent = overview.left_out.join(" ");
  byId("made").textContent = `Made by nasbench-evs ${overview.version}, nasbench-evs explore. This file fetches nothing.`;
}

startTheme();
startControls();
startFooter();
addEventListener("hashchange", () => location.hash !== "#main" && show(true));
show(false);
document.documentElement.dataset.ready = "yes";
