/** Which settings are shown. Pure. */

/** The words of the settings' sources. */
export const SOURCES = { flag: "flag", environment: "environment", file: "settings file", default: "default" };

/** Those whose name, value, source or description has every word of the text; changed: those alone that are not by default. */
export function found(settings, text, changed) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return settings.filter((setting) => {
    if (changed && setting.source === "default") return false;
    const all = `${setting.name} ${setting.value} ${SOURCES[setting.source]} ${setting.description}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}
