/** A mark on a plot's horizontal axis. */
import type uPlot from "uplot";

/** A dashed line from top to bottom at a value of x; nothing where there is none or it lies outside. */
export function drawMark(plot: Pick<uPlot, "valToPos" | "bbox" | "ctx">, value: number | null, colour: string): void {
  if (value === null) return;
  const x = plot.valToPos(value, "x", true);
  const { left, top, width, height } = plot.bbox;
  if (x < left || x > left + width) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.restore();
}
