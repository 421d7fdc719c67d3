/** Which names fit what was typed behind an "@", and which fit best. */

/** Whether all characters of the query occur in the label in order, whatever the case. */
export function fits(query: string, label: string): boolean {
  const wanted = [...query.toLowerCase()];
  let at = 0;
  for (const character of label.toLowerCase()) if (character === wanted[at]) at++;
  return at >= wanted.length;
}

/** Smaller is better: a name that starts so, one that holds it, a path that does, then the rest. */
export function rank(query: string, label: string): number {
  const wanted = query.toLowerCase();
  const path = label.toLowerCase();
  const name = path.replace(/\/$/, "").split("/").at(-1) ?? path;
  if (name.startsWith(wanted)) return 0;
  if (name.includes(wanted)) return 1;
  return path.includes(wanted) ? 2 : 3;
}

/** Every folder that holds one of the paths, with a "/" at its end. */
export function foldersOf(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) folders.add(path.slice(0, end + 1));
  }
  return [...folders];
}
