/** `npm run eval -- <what> ...`: measurements of quality. The result goes to stdout, all else to stderr. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { LongsightError } from "../../engine/errors.ts";
import { packageRoot } from "../../engine/paths.ts";
import { formatRows, type Row } from "../bench/rows.ts";
import { testData } from "../data.ts";
import { evaluateAttention } from "./attention.ts";
import { calibrate } from "./calibration.ts";
import { evaluateFirstSource } from "./first-source.ts";
import { evaluateMemory, formatMemory } from "./memory.ts";
import { evaluateMemoryMethods } from "./memory-methods.ts";
import { methodsPage } from "./methods-doc.ts";
import { evaluateModel, formatModel } from "./model.ts";
import { evaluateNotFound, formatNotFound } from "./not-found.ts";
import { evaluatePlaced } from "./placed.ts";
import { evaluateRetrieval, formatRetrieval } from "./retrieval.ts";
import { evaluateSyntheticMethods } from "./synthetic-methods.ts";
import { evaluateWorkspaceMemory } from "./workspace-methods.ts";

/** The parts of `methods`; `path` is stories260K's folder. */
const METHODS: Readonly<Record<string, (path: string) => Promise<Row[]>>> = {
  attention: evaluateAttention,
  placed: evaluatePlaced,
  memory: evaluateMemoryMethods,
  synthetic: evaluateSyntheticMethods,
  workspace: evaluateWorkspaceMemory,
};

const USAGE = `Usage: npm run eval -- retrieval --cases FILE.jsonl --repos DIR [--limit N] [--json]
  Ranks the files of each case's commit; DIR holds bare git repositories as OWNER+NAME/repo.
       npm run eval -- not-found --cases FILE.jsonl [--cases FILE.jsonl ...] --repos DIR [--limit N] [--json]
  Asks each question of its own repository and of the others, where nothing should be found.
       npm run eval -- pointer --cases FILE.jsonl [--cases FILE.jsonl ...] --repos DIR [--limit N] [--json]
  How often the first source of an answer is of a right file, with the pointer and without; N questions of each repository.
       npm run eval -- memory --repos DIR [--limit N] [--json]
  What the memory of a repository is worth for completing N held-out lines of it.
       npm run eval -- model [--repos DIR] [--model FOLDER] [--quick] [--json]
  The shipped model's quality and speed against what it is to reach; about ten minutes, two with --quick.
       npm run eval -- calibration --model FOLDER|FILE.gguf [--json]
  Finds the heads of a model that profit from damped sinks, and writes them beside it; hours for a large one.
       npm run eval -- methods [--only ${Object.keys(METHODS).join("|")}] [--json]
  What each way of leaving keys out costs a trained external model, and how well the memory's methods work; some minutes.
  Writes docs/methods.md, unless only a part is measured.`;

const OPTIONS = {
  cases: { type: "string", multiple: true },
  repos: { type: "string" },
  limit: { type: "string" },
  model: { type: "string" },
  only: { type: "string" },
  quick: { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** Paths are relative to where the user typed the command, which npm keeps in INIT_CWD. */
const userPath = (path: string) => resolve(process.env.INIT_CWD ?? process.cwd(), path);

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new LongsightError("bad-input", `${(error as Error).message}\n${USAGE}`);
  }
}

/** A measurement: its result, and that as a table. */
interface Measured {
  readonly result: object;
  readonly table: string;
}

interface Given {
  readonly cases: readonly string[];
  readonly repos: string | undefined;
  readonly model: string | undefined;
  readonly only: string | undefined;
  readonly quick: boolean | undefined;
  readonly limit: number | undefined;
}

const warn = (sentence: string) => console.error(sentence);

const MEASUREMENTS: Readonly<Record<string, (given: Given) => Promise<Measured>>> = {
  async retrieval({ cases, repos, limit }) {
    if (cases.length !== 1 || !repos) throw new LongsightError("bad-input", USAGE);
    const result = await evaluateRetrieval({ cases: cases[0], repos, limit, warn });
    return { result, table: formatRetrieval(result) };
  },
  async "not-found"({ cases, repos, limit }) {
    if (cases.length === 0 || !repos) throw new LongsightError("bad-input", USAGE);
    const result = await evaluateNotFound({ cases, repos, limit, warn });
    return { result, table: formatNotFound(result) };
  },
  async pointer({ cases, repos, limit }) {
    if (cases.length === 0 || !repos) throw new LongsightError("bad-input", USAGE);
    const rows = await evaluateFirstSource({ cases, repos, limit, warn });
    return { result: { rows }, table: formatRows(rows) };
  },
  async memory({ repos, limit }) {
    if (!repos) throw new LongsightError("bad-input", USAGE);
    const result = await evaluateMemory({ repos, limit });
    return { result, table: formatMemory(result) };
  },
  async methods({ only }) {
    const { path, skip } = testData("models/stories260K");
    if (skip) throw new LongsightError("not-found", `The ${skip}.`);
    if (only !== undefined && !Object.hasOwn(METHODS, only)) throw new LongsightError("bad-input", USAGE);
    const rows: Row[] = [];
    for (const part of only === undefined ? Object.values(METHODS) : [METHODS[only]]) rows.push(...(await part(path)));
    if (only === undefined) {
      mkdirSync(join(packageRoot, "docs"), { recursive: true });
      writeFileSync(join(packageRoot, "docs", "methods.md"), methodsPage(rows));
    }
    return { result: { rows }, table: formatRows(rows) };
  },
  async calibration({ model }) {
    if (!model) throw new LongsightError("bad-input", USAGE);
    const result = await calibrate(model);
    const { beside, calibration } = result;
    return { result, table: `${calibration.heads.flat().length} heads profit; written to ${beside}` };
  },
  async model(given) {
    const result = await evaluateModel(given);
    return { result, table: formatModel(result) };
  },
};

async function main(): Promise<void> {
  const { positionals, values } = parse(process.argv.slice(2));
  const { cases = [], repos, model, only, quick, json } = values;
  const measure = Object.hasOwn(MEASUREMENTS, positionals[0] ?? "") ? MEASUREMENTS[positionals[0]] : undefined;
  if (!measure) throw new LongsightError("bad-input", USAGE);
  const limit = values.limit === undefined ? undefined : Number(values.limit);
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw new LongsightError("bad-input", `--limit takes a whole number above 0, not "${values.limit}".`);
  }
  const { result, table } = await measure({
    ...{ cases: cases.map(userPath), limit, quick, only },
    repos: repos === undefined ? undefined : userPath(repos),
    model: model === undefined ? undefined : userPath(model),
  });
  console.log(json ? JSON.stringify(result) : table);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof LongsightError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
