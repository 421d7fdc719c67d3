/** What comes out of a model's files, in a form that may stand in a message. */

/** Text, cut to a length. */
export function clipped(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 3)}...` : text;
}

/** A value: texts quoted and cut short, lists and objects only named, since they may be of any size and depth. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return JSON.stringify(clipped(value, 60));
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
