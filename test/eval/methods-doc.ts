/** docs/methods.md: what became of each method, with the rows that `npm run eval -- methods` measured. */
import { cpus } from "node:os";
import { type Row, rowsAsMarkdown } from "../bench/rows.ts";

interface Method {
  readonly name: string;
  readonly place: string;
  readonly files: readonly string[];
  /** Which rows are its own, by the beginning of their names. */
  readonly rows: readonly string[];
}

const METHODS: readonly Method[] = [
  {
    name: "DuoAttention",
    place:
      "Heads that need no far tokens stream, and nothing of theirs is stored; gates learned, or estimated by reading a text.",
    files: [
      "engine/attention/streaming.ts",
      "engine/attention/gates.ts",
      "engine/runtime/head-gates.ts",
      "engine/runtime/learned-heads.ts",
      "engine/training/gates.py",
    ],
    rows: ["stories260K, half of the heads", "stories260K, text among others: the same"],
  },
  {
    name: "Landmark Attention",
    place:
      "Blocks of 64 tokens with a landmark; keys without positions, given places when they are read. Bounds of keys (Quest) were no better than means, which stay the default.",
    files: ["engine/memory/segment.ts", "engine/attention/slots.ts", "engine/attention/blocks.ts"],
    rows: ["Landmark Attention", "stories260K, blocks by their", "stories260K, text among others"],
  },
  {
    name: "RetrievalAttention",
    place: "Finds blocks of memories of 8,192 to 262,144 blocks; smaller ones are compared one by one.",
    files: ["engine/memory/graph-index.ts", "engine/memory/sized-index.ts"],
    rows: ["RetrievalAttention"],
  },
  {
    name: "Routing Transformer",
    place: "Cluster lists for memories of more than 262,144 blocks. Not as a layer of a model.",
    files: ["engine/memory/clustered-index.ts"],
    rows: ["Routing Transformer"],
  },
  {
    name: "HiP",
    place: "Compares candidate blocks whose keys are more than 4,096; fewer are all compared, which is better.",
    files: ["engine/attention/hierarchy.ts", "engine/memory/block-scan.ts"],
    rows: ["HiP"],
  },
  {
    name: "TidalDecode",
    place: "The preset `balanced`: two layers choose blocks by their attention, the others use their choice.",
    files: ["engine/attention/blocks.ts", "engine/attention/plan.ts"],
    rows: ["stories260K, blocks by attention"],
  },
  {
    name: "Recycled Attention",
    place:
      "Users' models keep a choice of blocks until the query has turned away; the shipped model keeps what landmarks proposed, and lets keys choose for every token.",
    files: ["engine/memory/recycled-hits.ts", "engine/runtime/block-choices.ts"],
    rows: ["Recycled Attention", "stories260K, the same for 8 tokens"],
  },
  {
    name: "SpAtten",
    place:
      "Keys in two planes: the high one decides among candidates, the low one is read where a bound demands it. Deeper layers read fewer blocks in the preset `fast`. A plan may prune the keys of chosen blocks from layer to layer, by the attention they got, for each token anew.",
    files: [
      "engine/memory/key-planes.ts",
      "engine/attention/flatness.ts",
      "engine/memory/block-scan.ts",
      "engine/attention/pruning.ts",
    ],
    rows: ["SpAtten", "stories260K, blocks chosen in layer 1", "stories260K, the same, "],
  },
  {
    name: "HyperAttention",
    place:
      "The preset `fast` reads prompts of more than 16,384 tokens with it, run by run, the last run apart; never what is stored. Its cost in quality was not measured: no trained model that reads so much was at hand.",
    files: ["engine/attention/hyper.ts", "engine/runtime/hyper-inputs.ts"],
    rows: ["HyperAttention"],
  },
  {
    name: "Attention as an RNN",
    place: "Parts of an attention are joined by its operator everywhere. Not as a layer of a model, nor for digests.",
    files: ["engine/attention/merge.ts"],
    rows: [],
  },
  {
    name: "Lightning Attention and Lightning Attention-2",
    place: "The shipped model's layers with a constant state, chunk by chunk.",
    files: ["engine/attention/lightning.ts"],
    rows: [],
  },
  {
    name: "RCMHA",
    place: "The shipped model's convolutions and relative biases.",
    files: ["engine/attention/causal-conv.ts", "engine/attention/window.ts"],
    rows: [],
  },
  {
    name: "Pointer Networks",
    place:
      "A trained pointer orders the citations of an answer; its figures are in `DECISIONS.md` and `engine/training/LAB.md`.",
    files: ["engine/ask/pointer.ts"],
    rows: [],
  },
  {
    name: "AT / iAT (adversarial training of attention scores)",
    place:
      "The shipped model's query of a question in words is fitted with perturbed scores; how firm a choice among places is stands beside an answer. Figures, and experiments on made-up data, in `engine/training/LAB.md`: the gate for stability is met on made-up data only.",
    files: ["engine/training/perturb.py", "engine/training/route_head.py", "engine/ask/pointer.ts"],
    rows: [],
  },
  {
    name: "Scan and Snap",
    place:
      "What the heads of the shipped model attended to while it was trained: in the diagnostics panel. The theory's figures, on made-up data, in `engine/training/LAB.md`.",
    files: ["engine/training/monitor.py", "engine/training/scan_snap.py"],
    rows: [],
  },
  {
    name: "ACT (attention calibration)",
    place:
      "Damps the first tokens of texts that were encoded one by one and stand behind others, and other placed tokens that a question looks at too much, by plan and head. `npm run eval -- calibration` searches for the heads that profit and writes them beside a model, whose plans but `exact` then damp. In no preset: it gains next to nothing where it was measured. The default model has sinks of its own and does not see the tokens that begin files, which is worth 0.3 points of bits.",
    files: [
      "engine/attention/calibration.ts",
      "engine/attention/sinks.ts",
      "engine/attention/head-search.ts",
      "engine/runtime/damped-keys.ts",
      "engine/runtime/learned-heads.ts",
    ],
    rows: ["ACT"],
  },
  {
    name: "Titans",
    place:
      "A small matrix beside the shipped model that is trained while files are read, and believed as far as it does well on the text at hand. Not in the product: what it gains in bits is measured, what it gains and costs in completions is not.",
    files: ["engine/memory/workspace-memory.ts", "engine/attention/titans.ts"],
    rows: ["Titans"],
  },
];

/** Seen to work on made-up data only. */
const MISSING = ["SEA", "SAE circuits", "Salient Relevance (LRP)", "OAT"];

const table = (rows: readonly Row[]) =>
  rows.length === 0 ? ["No figure of its own: its exact tests are its proof."] : rowsAsMarkdown(rows);

/** The page, from all rows. */
export function methodsPage(rows: readonly Row[]): string {
  const left = new Set(rows);
  const sections = METHODS.flatMap(({ name, place, files, rows: beginnings }) => {
    const own = [...left].filter((row) => beginnings.some((beginning) => row.name.startsWith(beginning)));
    for (const row of own) left.delete(row);
    const where = files.map((file) => `\`${file}\``).join(", ");
    return [`## ${name}`, "", place, "", `In ${where}.`, "", ...table(own), ""];
  });
  return [
    "# Methods",
    "",
    "Written by `npm run eval -- methods`: what each method does here, where it stands, and what was measured.",
    `Machine: ${cpus().length} threads of ${cpus()[0]?.model.trim() ?? "an unknown processor"}. Times are of a machine that had other work as well.`,
    "",
    ...sections,
    "## Not implemented",
    "",
    `${MISSING.join(", ")}.`,
    "",
    ...(left.size > 0 ? ["## Other figures", "", ...table([...left]), ""] : []),
  ].join("\n");
}
