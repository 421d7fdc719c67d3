/** Progress of an evaluation, on stderr; nothing where stderr is no terminal. */
import { Presets, SingleBar } from "cli-progress";

export function progressBar(what: string, total: number): SingleBar {
  const format = `${what} [{bar}] {value}/{total} | about {eta_formatted} left`;
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.rect);
  bar.start(total, 0);
  return bar;
}
