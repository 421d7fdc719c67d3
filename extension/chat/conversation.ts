/** The panel's conversation: its turns, the question under way, and its place in the workspace's storage. */
import type * as vscode from "vscode";
import type { Mention, Turn } from "../../webview/messages.ts";
import { isCancelled, sentenceOf } from "../user-errors.ts";
import type { FolderIndex } from "../workspace/folder-index.ts";
import { freshness } from "../workspace/freshness.ts";
import type { Answerer } from "./answerer.ts";

const STORE_KEY = "longsight.conversation";
/** Older turns are forgotten: the storage is the editor's, and small. */
const MAX_TURNS = 50;
/** Pieces of text are shown together this often, in ms; more often costs drawing and shows nothing new. */
const SHOW_EVERY_MS = 60;

export class Conversation {
  readonly #store: vscode.Memento;
  readonly #answerer: Answerer;
  readonly #onChange: (turn: Turn) => void;
  #turns: Turn[];
  #running: AbortController | undefined;

  constructor(store: vscode.Memento, answerer: Answerer, onChange: (turn: Turn) => void) {
    this.#store = store;
    this.#answerer = answerer;
    this.#onChange = onChange;
    // A turn that was being answered when the window closed will not be any more.
    this.#turns = store
      .get<Turn[]>(STORE_KEY, [])
      .map((turn) => (turn.state === "asking" ? { ...turn, state: "stopped" } : turn));
  }

  get turns(): readonly Turn[] {
    return this.#turns;
  }

  /** Asks; ends when the answer is complete. A question under way is stopped first. */
  async ask(index: FolderIndex, question: string, mentions: readonly Mention[]): Promise<void> {
    const { folder } = index;
    await this.#answer(index, {
      id: (this.#turns.at(-1)?.id ?? 0) + 1,
      question,
      mentions,
      folder: folder.uri.toString(),
      folderName: folder.name,
      answer: "",
      citations: [],
      state: "asking",
      freshness: freshness(index),
    });
  }

  /** Answers a turn anew. */
  async regenerate(id: number, index: FolderIndex): Promise<void> {
    const turn = this.#turns.find((one) => one.id === id);
    if (!turn) return;
    const again = { ...turn, answer: "", citations: [], error: undefined, totalMs: undefined };
    await this.#answer(index, { ...again, state: "asking", freshness: freshness(index) });
  }

  stop(): void {
    this.#running?.abort();
  }

  async clear(): Promise<void> {
    this.stop();
    this.#turns = [];
    await this.#save();
  }

  async #answer(index: FolderIndex, first: Turn): Promise<void> {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    let turn = first;
    let shown: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      shown = undefined;
      this.#put(turn);
    };
    show();
    // So that a window that closes meanwhile does not lose the question.
    void this.#save();
    try {
      const result = await this.#answerer.ask(index, turn.question, turn.mentions, {
        signal: running.signal,
        onCitations: (citations) => {
          turn = { ...turn, citations };
          show();
        },
        onWork: (work) => {
          turn = { ...turn, work };
          shown ??= setTimeout(show, SHOW_EVERY_MS);
        },
        onText: (piece) => {
          turn = { ...turn, answer: turn.answer + piece };
          shown ??= setTimeout(show, SHOW_EVERY_MS);
        },
      });
      const { answer, citations, stability, model, timingsMs } = result;
      // Said after the fact: the engine may have indexed the folder for this question.
      const fresh = freshness(index);
      turn = {
        ...turn,
        answer,
        citations,
        stability,
        model,
        totalMs: timingsMs.total,
        state: "done",
        freshness: fresh,
      };
    } catch (error) {
      turn = isCancelled(error)
        ? { ...turn, state: "stopped" }
        : { ...turn, state: "failed", error: sentenceOf(error) };
    }
    clearTimeout(shown);
    if (this.#running === running) this.#running = undefined;
    this.#put(turn);
    await this.#save();
  }

  /** Shows and keeps a turn, unless the conversation was cleared meanwhile. */
  #put(turn: Turn): void {
    const at = this.#turns.findIndex(({ id }) => id === turn.id);
    if (at >= 0) this.#turns[at] = turn;
    else if (turn.state === "asking" && turn.answer === "") this.#turns = [...this.#turns, turn].slice(-MAX_TURNS);
    else return;
    this.#onChange(turn);
  }

  async #save(): Promise<void> {
    await this.#store.update(STORE_KEY, this.#turns);
  }
}
