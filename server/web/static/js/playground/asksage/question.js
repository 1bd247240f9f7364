/** The request that a question makes: the very body that is sent, and that the code shows. Pure functions. */

/** Where a question's answer is drawn from. */
export const FROM = [
  ["all", "All datasets"],
  ["chosen", "Chosen datasets"],
  ["none", "No dataset"],
];

export const STANDARD = {
  model: "",
  persona: 1,
  from: "all",
  datasets: [],
  references: 5,
  live: 0,
  temperature: 0,
};

/**
 * turns: [{question, answer}] before it; each must have been answered. there: full names of the datasets that there are;
 * chosen ones that are gone are left out.
 */
export function bodyOf({ question, turns = [], settings, model, there }) {
  const said = turns.flatMap((turn) => [
    { user: "me", message: turn.question },
    { user: "gpt", message: turn.answer },
  ]);
  return {
    message: said.length ? [...said, { user: "me", message: question }] : question,
    model,
    persona: settings.persona,
    dataset: datasetsOf(settings, there),
    limit_references: settings.references,
    live: settings.live,
    temperature: settings.temperature,
    usage: true,
  };
}

export function datasetsOf({ from, datasets }, there) {
  if (from !== "chosen") return from;
  const chosen = datasets.filter((name) => there.includes(name));
  return chosen.length ? chosen : "none";
}
