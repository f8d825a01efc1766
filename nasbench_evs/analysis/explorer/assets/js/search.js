// Finding an architecture by its string.

import { byId, el } from "explorer/dom";
import { count } from "explorer/format";
import { toArchitecture } from "explorer/state";

const MOST = 10;

// Recorded architectures whose string begins with what is typed, then those that contain it.
export function find(table, typed) {
  const texts = table.architectures.text;
  const all = texts.map((_, i) => i).filter((i) => texts[i].includes(typed));
  const order = (i) => (texts[i] === typed ? 0 : texts[i].startsWith(typed) ? 1 : 2);
  return all.sort((a, b) => order(a) - order(b) || a - b);
}

// Why a string is not here: an architecture that nobody trained, or no whole string of the space.
export function unknownSentence(table, typed) {
  const command = `${table.query} '${typed.replaceAll("'", "'\\''")}'`;
  const whole = table.pattern !== null && new RegExp(`^(?:${table.pattern})$`, "u").test(typed);
  if (whole) {
    return `${typed} is an architecture of ${table.space}, but nobody has trained it on ${table.dataset}: there is no record to show. ` +
      (table.surrogate.message === null ? `The surrogate predicts its score: ${command}` : "No surrogate predicts its score here.");
  }
  return `No recorded architecture of ${table.name} contains “${typed}”` +
    (table.pattern === null ? "." : `, and it is no whole string of ${table.space}: one looks like ${table.architectures.text[0]}.`);
}

export function showFound(table, typed) {
  const box = byId("found");
  if (!typed) {
    box.replaceChildren();
    return;
  }
  const found = find(table, typed);
  if (!found.length) {
    box.replaceChildren(el("p", {}, unknownSentence(table, typed)));
    return;
  }
  const links = found.slice(0, MOST).map((i) => el("li", {}, el("a", { href: toArchitecture(table, i) }, el("code", {}, table.architectures.text[i]))));
  const exact = found.length === 1 || table.architectures.text[found[0]] === typed;
  const said = `${count(found.length, "recorded architecture")} of ${table.name}${found.length > MOST ? `, the first ${MOST}` : ""}${exact ? "; Enter opens the first" : ""}:`;
  box.replaceChildren(el("p", {}, said), el("ul", {}, links));
}
