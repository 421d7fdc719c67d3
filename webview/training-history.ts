/** What is kept of the shipped model's training: engine/training/monitor.py writes it, the diagnostics panel draws it. */

export interface TrainingHistory {
  /** The model's size, by name. */
  readonly model: string;
  /** Bits per byte of held-out text, by tokens trained. */
  readonly validation: readonly { readonly tokens: number; readonly bitsPerByte: number }[];
  /** Tokens trained at the checkpoints that heads were looked at. */
  readonly tokens: readonly number[];
  /** By layer and head, as "6.1". */
  readonly heads: Readonly<Record<string, HeadHistory>>;
}

/** One value for each checkpoint. Lift: the share of attention over the share of the tokens in sight, 1 where it does not care. */
export interface HeadHistory {
  /** Lift of the tokens that tell what comes next. */
  readonly distinct: readonly number[];
  /** Lift of those that do not. */
  readonly common: readonly number[];
  /** Share of attention that the sink takes. */
  readonly sink: readonly number[];
  /** Tokens trained when the head's attention froze; null where that was not seen. */
  readonly snap: number | null;
}

/** The history in a file's text; undefined where it is none. */
export function parseTrainingHistory(text: string): TrainingHistory | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { model, validation, tokens, heads } = value as Record<string, unknown>;
  const isHistory =
    typeof model === "string" &&
    Array.isArray(validation) &&
    validation.every((point) => isNumbers([point?.tokens, point?.bitsPerByte])) &&
    isNumbers(tokens) &&
    typeof heads === "object" &&
    heads !== null &&
    Object.values(heads).every((head) => isHead(head, tokens.length));
  return isHistory ? (value as TrainingHistory) : undefined;
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((one) => typeof one === "number");

function isHead(head: Record<string, unknown> | null, n: number): boolean {
  if (typeof head !== "object" || head === null) return false;
  const { distinct, common, sink, snap } = head;
  const isCurve = (curve: unknown) => isNumbers(curve) && curve.length === n;
  return isCurve(distinct) && isCurve(common) && isCurve(sink) && (snap === null || typeof snap === "number");
}

/** Numbers of tokens as people say them. */
export function tokensText(tokens: number): string {
  return tokens >= 1e6 ? `${(tokens / 1e6).toFixed(1)}M` : tokens >= 1e3 ? `${Math.round(tokens / 1e3)}K` : `${tokens}`;
}

/** A row of the table for each head: lifts and the sink's share at the first and the last checkpoint, and when it froze. */
export function headRows({ heads }: TrainingHistory): { name: string; cells: string[] }[] {
  const fromTo = (curve: readonly number[], text: (value: number) => string) =>
    curve.length === 0 ? "–" : `${text(curve[0])} → ${text(curve[curve.length - 1])}`;
  return Object.entries(heads).map(([name, { distinct, common, sink, snap }]) => ({
    name,
    cells: [
      fromTo(distinct, (lift) => lift.toFixed(2)),
      fromTo(common, (lift) => lift.toFixed(2)),
      fromTo(sink, (share) => `${(100 * share).toFixed(1)} %`),
      snap === null ? "–" : tokensText(snap),
    ],
  }));
}
