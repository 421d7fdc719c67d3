/**
 * The engine's terminal entry: one command per product surface. Results go to stdout (with --json as one JSON value),
 * everything else to stderr. A failure is one sentence on stderr and exit status 1; Ctrl-C is status 130.
 */
import { readFileSync } from "node:fs";
import { isAbsolute, relative, resolve } from "node:path";
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import {
  formatAsk,
  formatCheck,
  formatEncode,
  formatIndex,
  formatInspect,
  formatPull,
  formatPush,
} from "./cli-format.ts";
import { progressBar } from "./cli-progress.ts";
import { aroundPosition } from "./complete/context.ts";
import { Engine, type Work } from "./engine.ts";
import { fileError, LongsightError } from "./errors.ts";

const USAGE = `Usage: npm run <command> -- <arguments>
  ask <folder> "<question>"          answer a question about a folder, with citations
  index <folder>                     index a folder, or bring its index up to date
  encode <folder>                    index a folder and encode it into the memory that completions look at; with --model,
                                     into that of a model which answers from memory
  memory push|pull <folder> <url>    share what is encoded: file://, https:// or s3:// (with AWS_* variables); with
                                     --model, what that model has encoded
  complete <file:line:col>           complete code at a place (line and column from 1)
  generate "<prompt>"                continue a text; with --chat, answer it
  check-model <model>                find out how a model reads repositories best on this machine, and have it do so
  inspect <model>                    what a model file holds and needs
Options: --json    one JSON value on stdout
         --model <file or folder>    a GGUF file or safetensors folder instead of the shipped model
         complete: --max-tokens N
         generate: --max-tokens N --temperature T --top-k K --top-p P --min-p P --repetition-penalty R --seed S
                   --stop TEXT (may be given several times) --chat --plan exact|balanced|fast|split
                   --folder F, which a chat model that reads from memory looks at`;

/** Paths are relative to where the user typed the command, which npm keeps in INIT_CWD. */
const workingFolder = process.env.INIT_CWD ?? process.cwd();
const userPath = (path: string) => resolve(workingFolder, path);

const text = { type: "string" } as const;
const OPTIONS = {
  json: { type: "boolean" },
  model: text,
  chat: { type: "boolean" },
  stop: { type: "string", multiple: true },
  "max-tokens": text,
  temperature: text,
  "top-k": text,
  "top-p": text,
  "min-p": text,
  "repetition-penalty": text,
  seed: text,
  plan: text,
  folder: text,
} satisfies ParseArgsOptionsConfig;

type Values = ReturnType<typeof parse>["values"];
const parse = (args: string[]) => parseArgs({ args, options: OPTIONS, allowPositionals: true });

/** A numeric option's value, checked. */
function numeric(values: Values, name: Exclude<keyof Values, "json" | "chat" | "stop">): number | undefined {
  const given = values[name];
  if (given === undefined) return undefined;
  const value = Number(given);
  if (given.trim() === "" || !Number.isFinite(value)) {
    throw new LongsightError("bad-input", `--${name} takes a number, not "${given}".`);
  }
  return value;
}

const modelPath = ({ model }: Values) => (model === undefined ? undefined : userPath(model));

interface Output {
  readonly json: unknown;
  readonly text: string;
  /** Set where the result is a failure all the same: one sentence, beside which the result stands. */
  readonly failure?: string | null;
}

interface Command {
  /** What stands behind the command's name. */
  readonly takes: readonly string[];
  run(engine: Engine, args: string[], values: Values, work: Work): Promise<Output>;
}

const COMMANDS: Record<string, Command> = {
  ask: {
    takes: ["folder", "question"],
    async run(engine, [folder, question], values, work) {
      const result = await engine.ask({ folder: userPath(folder), question, model: modelPath(values) }, work);
      return { json: result, text: formatAsk(result) };
    },
  },
  index: {
    takes: ["folder"],
    async run(engine, [folder], _, work) {
      const result = await engine.index(userPath(folder), work);
      return { json: result, text: formatIndex(result) };
    },
  },
  encode: {
    takes: ["folder"],
    async run(engine, [folder], values, work) {
      const result = await engine.encode(userPath(folder), work, modelPath(values));
      if (result === undefined) throw new LongsightError("cancelled", "Another call encodes this folder already.");
      return { json: result, text: formatEncode(result) };
    },
  },
  memory: {
    takes: ["push or pull", "folder", "url"],
    async run(engine, [action, folder, url], values, work) {
      if (action === "push") {
        const result = await engine.pushMemory(userPath(folder), url, work, modelPath(values));
        return { json: result, text: formatPush(result) };
      }
      if (action !== "pull") throw new LongsightError("bad-input", `memory takes push or pull, not "${action}".`);
      const result = await engine.pullMemory(userPath(folder), url, work, modelPath(values));
      return { json: result, text: formatPull(result) };
    },
  },
  complete: {
    takes: ["file:line:col"],
    async run(engine, [place], values, work) {
      const [, file, line, column] = /^(.+):(\d+):(\d+)$/.exec(place) ?? [];
      if (file === undefined) {
        throw new LongsightError("bad-input", `"${place}" is not a place; give file:line:col, such as src/a.ts:12:5.`);
      }
      const path = userPath(file);
      const around = aroundPosition(readText(path), Number(line), Number(column));
      const shown = relative(workingFolder, path).replaceAll("\\", "/");
      // Code outside this folder is completed without its memory.
      const folder = shown.startsWith("..") || isAbsolute(shown) ? undefined : workingFolder;
      const params = {
        folder,
        path: shown,
        ...around,
        model: modelPath(values),
        maxTokens: numeric(values, "max-tokens"),
      };
      const result = await engine.complete(params, work);
      return { json: result, text: result.text };
    },
  },
  generate: {
    takes: ["prompt"],
    async run(engine, [prompt], values, work) {
      const params = {
        model: modelPath(values),
        prompt: values.chat ? [{ role: "user" as const, content: prompt }] : prompt,
        stop: values.stop,
        plan: values.plan,
        folder: values.folder === undefined ? undefined : userPath(values.folder),
        maxTokens: numeric(values, "max-tokens"),
        temperature: numeric(values, "temperature"),
        topK: numeric(values, "top-k"),
        topP: numeric(values, "top-p"),
        minP: numeric(values, "min-p"),
        repetitionPenalty: numeric(values, "repetition-penalty"),
        seed: numeric(values, "seed"),
      };
      const result = await engine.generate(params, work);
      return { json: result, text: result.text };
    },
  },
  "check-model": {
    takes: ["model"],
    async run(engine, [model], _, work) {
      const report = await engine.checkModel(userPath(model), work);
      return { json: report, text: formatCheck(report) };
    },
  },
  inspect: {
    takes: ["model"],
    async run(engine, [model], _, work) {
      const report = await engine.inspect(userPath(model), work);
      return { json: report, text: formatInspect(report), failure: report.reason };
    },
  },
};

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The command, its arguments and options. Errors: bad-input, with the usage. */
function parseCommand(args: string[]) {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    throw new LongsightError("bad-input", `${(error as Error).message}\n${USAGE}`);
  }
  const [name, ...given] = parsed.positionals;
  const command = name === undefined ? undefined : COMMANDS[name];
  if (!command) throw new LongsightError("bad-input", USAGE);
  if (given.length !== command.takes.length) {
    const takes = command.takes.map((what) => `<${what}>`).join(" ");
    throw new LongsightError("bad-input", `${name} takes ${takes}, but ${given.length} arguments were given.`);
  }
  return { command, given, values: parsed.values };
}

async function main(): Promise<void> {
  const { command, given, values } = parseCommand(process.argv.slice(2));
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  const engine = new Engine();
  const { onProgress, end } = progressBar();
  try {
    const output = await command.run(engine, given, values, { signal: abort.signal, onProgress });
    end();
    console.log(values.json ? JSON.stringify(output.json) : output.text);
    if (output.failure) {
      console.error(output.failure);
      process.exitCode = 1;
    }
  } finally {
    end();
    await engine.close();
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof LongsightError)) throw error;
  console.error(error.message);
  process.exitCode = error.code === "cancelled" ? 130 : 1;
}
