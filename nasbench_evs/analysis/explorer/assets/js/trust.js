// Sentences that say how far numbers can be trusted.

import { fixed, percent } from "explorer/format";

// Of a split's scores: how much of one is chance.
export function noiseSentence(table, split) {
  const noise = table.noise[split];
  const name = split === "valid" ? "validation" : "test";
  if (!noise || noise.share === null) return `How much of a ${name} score is chance cannot be said: too few random architectures were trained with several seeds.`;
  return (
    `Two trainings of one architecture differ: their ${name} scores have a standard deviation of ${fixed(noise.std, 4)} ` +
    `between seeds and ${fixed(noise.between, 4)} between architectures, so ${percent(noise.share)} of the variance of a single ` +
    `score is architecture (${noise.architectures} random architectures with several seeds).`
  );
}

export function splitSentence(table) {
  const found = table.noise.splits;
  if (found.tau === null) return "";
  return (
    `Kendall's tau between validation and test scores of ${fixed(found.architectures, 0)} architectures that no search chose is ` +
    `${fixed(found.tau, 2)}; among the ${fixed(found.leading, 0)} best by validation, ${fixed(found.leading_tau, 2)}.`
  );
}
