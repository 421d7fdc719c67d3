/**
 * Finishes words that have been begun, from the names of the open file and of the repository. A small model does not know
 * which names there are; of the names that begin like the word at the cursor, those that stand near it are likely.
 */
import type { Tokenizer } from "../models/types.ts";
import type { OpenText, Proposal } from "./copier.ts";
import { goesOnInName, type NameIndex, nameBegunIn, namesOf } from "./name-index.ts";

/** So much of the open file on each side of the cursor is looked at. */
const NEAR_CHARS = 50_000;

/** A name counts by 1 / (this + the names between it and the cursor), for every time it stands in the open file. */
const NEAR_NAMES = 5;

/** A file of the repository with the name counts as much as the name 10,000 names away: it decides where the open file does not. */
const FILE_WEIGHT = 1e-4;

/** How far the names are trusted where the word has been begun. */
const SHARE = 0.7;

/** The rest of the names matters little. */
const MAX_NAMES = 32;

export class Names {
  readonly #tokenizer: Tokenizer;
  readonly #repository: NameIndex | undefined;
  readonly #isInside: boolean;
  readonly #prefix: string;
  readonly #weights = new Map<string, number>();

  constructor(tokenizer: Tokenizer, { prefix, suffix }: OpenText, repository?: NameIndex) {
    this.#tokenizer = tokenizer;
    this.#repository = repository;
    this.#prefix = prefix.slice(-NEAR_CHARS);
    this.#isInside = goesOnInName(suffix);
    const begun = nameBegunIn(prefix);
    this.#add(namesOf(prefix.slice(-NEAR_CHARS, prefix.length - begun.length)).reverse());
    this.#add(namesOf(suffix.slice(0, NEAR_CHARS)));
  }

  /** How the word at the end of prefix + `text` may go on; undefined where none is begun there, or no name is known. */
  propose(text: string): Proposal | undefined {
    const begun = nameBegunIn(this.#prefix + text);
    // Where the word goes on behind the cursor, this is not its end.
    if (begun === "" || (this.#isInside && begun.length > text.length)) return undefined;
    const weights = new Map<string, number>();
    for (const [name, weight] of this.#weights) {
      if (name.length > begun.length && name.startsWith(begun)) weights.set(name, weight);
    }
    let asItIs = this.#weights.get(begun) ?? 0;
    if (this.#repository) {
      for (const { name, nFiles } of this.#repository.goingOn(begun)) {
        weights.set(name, (weights.get(name) ?? 0) + nFiles * FILE_WEIGHT);
      }
      asItIs += this.#repository.nFilesOf(begun) * FILE_WEIGHT;
    }
    return this.#proposal(begun.length, weights, asItIs);
  }

  #proposal(nBegun: number, weights: ReadonlyMap<string, number>, asItIs: number): Proposal | undefined {
    const best = [...weights].sort((a, b) => b[1] - a[1]).slice(0, MAX_NAMES);
    const sum = best.reduce((all, [, weight]) => all + weight, 0);
    if (sum === 0) return undefined;
    const texts = new Map(best.map(([name, weight]) => [name.slice(nBegun), weight / sum]));
    const ids = [...texts.keys()].map((text) => this.#tokenizer.encode(text, { continues: true }));
    const tokens = new Map<number, number>();
    for (const [i, weight] of [...texts.values()].entries()) {
      tokens.set(ids[i][0], (tokens.get(ids[i][0]) ?? 0) + weight);
    }
    return { share: (SHARE * sum) / (sum + asItIs), tokens, texts, ids: ids[0] };
  }

  /** Counts names, the nearest first. */
  #add(names: readonly string[]): void {
    for (const [n, name] of names.entries()) {
      this.#weights.set(name, (this.#weights.get(name) ?? 0) + 1 / (NEAR_NAMES + n));
    }
  }
}
