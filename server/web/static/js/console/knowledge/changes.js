/** What the form of a persona sends: all of a new one, and of a change only what differs. Pure functions. */

/** values: name, description and prompt as typed; persona: as it is, null for a new one. */
export function changesOf(values, persona) {
  const fields = { name: values.name.trim(), description: values.description.trim(), prompt: values.prompt };
  // Somebody else may have changed the others meanwhile.
  return persona
    ? Object.fromEntries(Object.entries(fields).filter(([name]) => values[name] !== persona[name]))
    : fields;
}
