/** The terminal's progress bars, on stderr, and only where a person sees them. */
import { Presets, SingleBar } from "cli-progress";
import type { Progress } from "./engine.ts";

/** Work shorter than this shows no bar, in ms. */
const DELAY_MS = 700;

/** A progress callback that draws one bar a phase, and a way to end it. Silent where stderr is no terminal. */
export function progressBar(): { onProgress: (progress: Progress) => void; end: () => void } {
  const start = performance.now();
  let bar: SingleBar | undefined;
  let phase = "";
  const end = () => {
    bar?.stop();
    bar = undefined;
  };
  const onProgress = (progress: Progress) => {
    if (progress.kind !== "work" || !process.stderr.isTTY) return;
    if (performance.now() - start < DELAY_MS) return;
    if (progress.phase !== phase) end();
    phase = progress.phase;
    const total = Math.max(progress.total ?? 0, progress.done, 1);
    if (!bar) {
      const format = "{phase} [{bar}] {percentage}% | {value}/{total} | {eta_formatted} left";
      bar = new SingleBar(
        { format, stream: process.stderr, clearOnComplete: true, hideCursor: true },
        Presets.shades_grey,
      );
      bar.start(total, progress.done, { phase });
    }
    bar.setTotal(total);
    bar.update(progress.done);
  };
  return { onProgress, end };
}
