/** Made-up source files with facts in them, and questions that only they answer: the same for every model. */

export interface CheckFile {
  readonly path: string;
  readonly text: string;
}

export interface CheckQuestion {
  readonly kind: "needle" | "crossFile";
  /** A text that the answer goes on from. */
  readonly prompt: string;
  /** Numbers, the right one first. */
  readonly answers: readonly number[];
}

const NAMES = ["harbor", "violin", "glacier", "orchard", "lantern", "compass", "meadow", "anchor"];

/**
 * As many files as fit into `maxTokens`, eight at most and two at least, filled up with code that says nothing. Each holds
 * a number of its own and one that another file says.
 */
export function madeUpFiles(
  maxTokens: number,
  countTokens: (text: string) => number,
): { files: CheckFile[]; questions: CheckQuestion[] } {
  const bare = countTokens(file(0, 1, 0).text) + 16;
  const nFiles = Math.min(NAMES.length, Math.max(2, Math.floor(maxTokens / bare)));
  const filling = countTokens(filler(0, 0));
  const nFillers = Math.max(0, Math.floor((maxTokens / nFiles - bare) / filling));
  const files = Array.from({ length: nFiles }, (_, i) => file(i, (i + 1) % nFiles, nFillers));
  const answers = (right: number) => [numberOf(right), ...NAMES.flatMap((_, i) => (i === right ? [] : [numberOf(i)]))];
  const questions = files.flatMap((_, i): CheckQuestion[] => [
    { kind: "needle", prompt: `\n\n// The limit of the ${NAMES[i]} is the number `, answers: answers(i) },
    {
      kind: "crossFile",
      prompt: `\n\n// The quota of the ${NAMES[i]} is the number `,
      answers: answers((i + 1) % nFiles),
    },
  ]);
  return { files, questions };
}

/** A number of four digits for each name. */
const numberOf = (i: number) => 1000 + ((i * 2741 + 3187) % 9000);

function file(i: number, other: number, nFillers: number): CheckFile {
  const [name, from] = [NAMES[i], NAMES[other]];
  const fillers = Array.from({ length: nFillers }, (_, k) => filler(i, k));
  const half = Math.ceil(nFillers / 2);
  const text = [
    `import { ${from}Limit } from "./${from}";\n`,
    ...fillers.slice(0, half),
    `/** The limit of the ${name}. */\nexport const ${name}Limit = ${numberOf(i)};\n`,
    `/** The quota of the ${name}. */\nexport const ${name}Quota = ${from}Limit;\n`,
    ...fillers.slice(half),
  ];
  return { path: `src/${name}.ts`, text: text.join("\n") };
}

const VERBS = ["open", "merge", "count", "clean", "split", "print"];

function filler(i: number, k: number): string {
  const verb = `${VERBS[(i + k) % VERBS.length]}${NAMES[(i * 3 + k * 5 + 1) % NAMES.length]}${k}`;
  return `export function ${verb}(items: string[]): string[] {\n  return items.filter((item) => item.length > ${k + 1});\n}\n`;
}
