// Recorded architectures at distance 1: one choice that is active in both differs, and what that switches on or off.

export function neighbours(table, i) {
  const found = [];
  for (let other = 0; other < table.architectures.text.length; other += 1) {
    const choice = other === i ? -1 : onlyDifference(table, i, other);
    if (choice >= 0) found.push({ other, choice });
  }
  return found;
}

// The choice in which alone two architectures differ; -1 if there are several.
function onlyDifference(table, a, b) {
  const columns = table.architectures.choices;
  let root = -1;
  for (let c = 0; c < columns.length; c += 1) {
    const [first, second] = [columns[c][a], columns[c][b]];
    if (first === second) continue;
    if (first < 0 || second < 0) {
      if (root < 0 || !descends(table.choices, c, root)) return -1; // parents come before their children
    } else if (root >= 0) return -1;
    else root = c;
  }
  return root;
}

function descends(choices, child, ancestor) {
  for (let c = child; c !== null; c = choices[c].parent) if (c === ancestor) return true;
  return false;
}
