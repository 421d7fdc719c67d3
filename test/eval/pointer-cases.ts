/**
 * `node test/eval/pointer-cases.ts DATA SPLIT REPOSITORIES QUESTIONS OUT.jsonl`: questions whose answers are known, made from
 * the training data's comments, asked of the engine's own retrieval. What a comment says is the question, the comment is
 * taken out of its file, and the lines it stood at are the answer: a function for its documentation, a few statements for a
 * comment inside. Each line of OUT is what the pointer sees of a question, and what is right.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { candidatesOf, QUERY_FEATURES, UNIT_FEATURES } from "../../engine/ask/candidates.ts";
import { proseOf, sentencesOf } from "../../engine/ask/comments.ts";
import { narrow } from "../../engine/ask/passage.ts";
import { parseQuery } from "../../engine/ask/query.ts";
import { type RankedSpan, retrieve } from "../../engine/ask/retrieve.ts";
import { LongsightError } from "../../engine/errors.ts";
import { Catalogue } from "../../engine/memory/catalogue.ts";
import { indexFiles } from "../../engine/memory/indexer.ts";
import { languageOf } from "../../engine/workspace/languages.ts";
import { type LineRange, syntaxOf } from "../../engine/workspace/syntax.ts";
import { randomNumbers, shuffled } from "./memory.ts";

interface Question {
  readonly kind: "documentation" | "comment";
  readonly text: string;
  readonly file: string;
  /** Lines of the answer in the file as it is indexed. */
  readonly gold: readonly number[];
}

const MAX_FILES = 100;
const MAX_FILE_BYTES = 60_000;
const PER_FILE = 4;
/** Spans that an answer may cite. */
const SPANS = 8;
/** Lines an answer may have. */
const MIN_GOLD = 2;
const MAX_GOLD = 60;
const MAX_STATEMENTS = 12;

/** A comment that may be asked for: where it stands, and the lines it speaks of. */
interface Explained {
  readonly kind: Question["kind"];
  readonly text: string;
  readonly comment: LineRange;
  readonly about: LineRange;
}

/** The documented functions of a file, and the comments amid its code. */
async function explainedIn(path: string, text: string): Promise<Explained[]> {
  const lines = text.split("\n");
  const symbols = (await syntaxOf(path, text))?.symbols.filter(({ kind }) => /function|method/.test(kind)) ?? [];
  const sentence = (comment: string) => sentencesOf(proseOf(comment))[0];
  const found: Explained[] = [];
  for (const { doc, startLine, endLine } of symbols) {
    if (!doc || endLine - startLine >= MAX_GOLD) continue;
    const first = sentence(lines.slice(doc.startLine - 1, doc.endLine).join("\n"));
    if (first) found.push({ kind: "documentation", text: first, comment: doc, about: { startLine, endLine } });
  }
  const isComment = languageOf(path)?.lineComment;
  const isInside = (line: number) => symbols.some(({ startLine, endLine }) => line > startLine && line < endLine);
  for (let i = 0; isComment && i < lines.length; i++) {
    if (!isComment.test(lines[i]) || !isInside(i + 1)) continue;
    let end = i;
    while (end + 1 < lines.length && isComment.test(lines[end + 1])) end++;
    const first = sentence(lines.slice(i, end + 1).join("\n"));
    const depth = indent(lines[i]);
    let last = end + 1;
    const goesOn = (line: string | undefined) =>
      line !== undefined && line.trim() !== "" && !isComment.test(line) && indent(line) >= depth;
    while (last - end <= MAX_STATEMENTS && goesOn(lines[last])) last++;
    const about = { startLine: end + 2, endLine: last };
    if (first && last - end - 1 >= MIN_GOLD) {
      found.push({ kind: "comment", text: first, comment: { startLine: i + 1, endLine: end + 1 }, about });
    }
    i = end;
  }
  return found;
}

const indent = (line: string) => line.length - line.trimStart().length;

const linesOf = ({ startLine, endLine }: LineRange) =>
  Array.from({ length: endLine - startLine + 1 }, (_, i) => startLine + i);

/** Takes some comments out of a file and asks for what they said. */
async function questionsOf(path: string, text: string, random: () => number) {
  const asked = shuffled(await explainedIn(path, text), random).slice(0, PER_FILE);
  const gone = new Set(asked.flatMap(({ comment }) => linesOf(comment)));
  const place = new Map<number, number>();
  const kept = text.split("\n").filter((_, i) => {
    if (!gone.has(i + 1)) place.set(i + 1, place.size + 1);
    return !gone.has(i + 1);
  });
  const questions = asked.map(({ kind, text: said, about }): Question => {
    const gold = linesOf(about).flatMap((line) => place.get(line) ?? []);
    return { kind, text: said, file: path, gold };
  });
  return { text: kept.join("\n"), questions };
}

const nTokens = (text: string) => text.match(/\w+/g)?.length ?? 0;

/** What the pointer sees of a question and what is right; undefined where nothing was found. */
function caseOf({ kind, text, file, gold }: Question, catalogue: Catalogue, fileLines: readonly string[]) {
  const found = retrieve(parseQuery(text), catalogue);
  const spans = found.spans.slice(0, SPANS);
  if (spans.length === 0) return undefined;
  const { units, features, query } = candidatesOf(found.evidence, spans);
  const right = new Set(gold);
  const rightTokens = (from: string, startLine: number, content: string) =>
    from !== file ? 0 : content.split("\n").reduce((sum, l, i) => sum + (right.has(startLine + i) ? nTokens(l) : 0), 0);
  const passage = ({ span }: RankedSpan) => {
    const { startLine, text: cited } = narrow(span, found.evidence.idf);
    return [nTokens(cited), rightTokens(span.file, startLine, cited)];
  };
  return {
    kind,
    goldTokens: gold.reduce((sum, line) => sum + nTokens(fileLines[line - 1] ?? ""), 0),
    query: [...query].map(short),
    features: units.map((_, i) => [...features.subarray(i * UNIT_FEATURES, (i + 1) * UNIT_FEATURES)].map(short)),
    /** Per unit: its span, its tokens, those of them that are right. */
    units: units.map((u) => [u.span, nTokens(u.text), rightTokens(spans[u.span].span.file, u.startLine, u.text)]),
    /** Of today's citation of each span: its tokens, those of them that are right. */
    passages: spans.map(passage),
  };
}

const short = (x: number) => Number(x.toFixed(4));

async function repositoryCases(files: ReadonlyMap<string, string>, nQuestions: number, random: () => number) {
  const folder = mkdtempSync(join(tmpdir(), "longsight-pointer-"));
  const catalogue = Catalogue.open(folder);
  try {
    const asked: Question[] = [];
    const texts = new Map<string, string>();
    for (const [path, text] of files) {
      const changed = await questionsOf(path, text, random);
      texts.set(path, changed.text);
      asked.push(...changed.questions);
    }
    const source = [...texts].map(([path, text]) => {
      const bytes = Buffer.from(text);
      return { path, skipped: null, sizeBytes: bytes.length, stamp: "1", read: async () => bytes };
    });
    await indexFiles(source, catalogue);
    const unique = [...new Map(asked.map((question) => [question.text, question])).values()];
    return shuffled(unique, random)
      .slice(0, nQuestions)
      .flatMap((question) => {
        try {
          return caseOf(question, catalogue, texts.get(question.file)!.split("\n")) ?? [];
        } catch (error) {
          // A comment of stop words asks for nothing.
          if (error instanceof LongsightError) return [];
          throw error;
        }
      });
  } finally {
    catalogue.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

type FileEntry = readonly [repository: number, path: string, language: string, offset: number, length: number];

async function main([data, split, nRepositories, nQuestions, out]: string[]): Promise<void> {
  const random = randomNumbers(7);
  const index = JSON.parse(readFileSync(join(data, `${split}.json`), "utf8"));
  const byRepository = Map.groupBy(index.files as FileEntry[], ([repository]) => repository);
  const handle = openSync(join(data, `${split}.bin`), "r");
  const lines: string[] = [];
  for (const [repository, entries] of shuffled([...byRepository], random).slice(0, Number(nRepositories))) {
    const chosen = shuffled(
      entries.filter(([, , , , length]) => length < MAX_FILE_BYTES),
      random,
    );
    const files = new Map<string, string>();
    for (const [, path, , offset, length] of chosen.slice(0, MAX_FILES)) {
      const bytes = Buffer.alloc(length);
      readSync(handle, bytes, 0, length, offset);
      files.set(path, bytes.toString());
    }
    const cases = await repositoryCases(files, Number(nQuestions), random);
    for (const made of cases) lines.push(JSON.stringify({ repository: index.repositories[repository], ...made }));
    console.error(`${index.repositories[repository]}: ${cases.length} questions`);
  }
  closeSync(handle);
  writeFileSync(out, `${lines.join("\n")}\n`);
  console.error(`${lines.length} questions, ${UNIT_FEATURES} and ${QUERY_FEATURES} features`);
}

await main(process.argv.slice(2));
