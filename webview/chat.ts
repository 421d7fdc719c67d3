/** The chat panel's page: draws the conversation the extension sends, and reports what the user does. */
import { drawTurn } from "./chat-turn.ts";
import { element, iconButton } from "./element.ts";
import { MentionBox } from "./mention-box.ts";
import type { FromPanel, Status, ToPanel, Turn } from "./messages.ts";

declare function acquireVsCodeApi(): { postMessage(message: FromPanel): void };

const editor = acquireVsCodeApi();
const send = (message: FromPanel) => editor.postMessage(message);

class ChatPage {
  readonly #strings: Record<string, string>;
  readonly #turns = new Map<number, Turn>();
  readonly #log = element("main", "log", [], { "aria-label": "Longsight" });
  readonly #facts = element("button", "facts", [], { type: "button" });
  readonly #box: MentionBox;
  readonly #sendButton: HTMLButtonElement;
  readonly #stopButton: HTMLButtonElement;

  constructor(strings: Record<string, string>, turns: readonly Turn[], status: Status) {
    this.#strings = strings;
    this.#box = new MentionBox({
      strings,
      onSubmit: (question, mentions) => send({ type: "ask", question, mentions }),
      onQuery: (serial, query) => send({ type: "findMentions", serial, query }),
    });
    this.#sendButton = iconButton("send", strings.send, () => this.#box.submit());
    this.#stopButton = iconButton("debug-stop", strings.stop, () => send({ type: "stop" }));
    this.#facts.addEventListener("click", () => send({ type: "chooseFolder" }));
    const composer = element("div", "composer", [
      this.#box.node,
      element("div", "bar", [this.#facts, this.#stopButton, this.#sendButton]),
    ]);
    document.body.replaceChildren(this.#log, composer);
    for (const turn of turns) this.#turns.set(turn.id, turn);
    this.#drawAll();
    this.setStatus(status);
  }

  setTurn(turn: Turn): void {
    const isNew = !this.#turns.has(turn.id);
    this.#turns.set(turn.id, turn);
    if (isNew) this.#drawAll();
    else {
      const shown = this.#log.querySelector(`[data-id="${turn.id}"]`);
      const wasOpen = shown?.querySelector<HTMLDetailsElement>("details.why")?.open ?? false;
      const drawn = this.#draw(turn);
      const why = drawn.querySelector<HTMLDetailsElement>("details.why");
      if (why) why.open = wasOpen;
      const isAtEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
      shown?.replaceWith(drawn);
      if (isAtEnd) this.#log.scrollTop = this.#log.scrollHeight;
    }
    this.#showButtons();
  }

  setStatus({ folderName, hasFolders, freshness, writer }: Status): void {
    this.#facts.textContent = [folderName, freshness, writer].filter((part) => part !== "").join(" · ");
    this.#facts.title = hasFolders ? this.#strings.chooseFolder : (this.#facts.textContent ?? "");
    this.#facts.disabled = !hasFolders;
  }

  get box(): MentionBox {
    return this.#box;
  }

  #drawAll(): void {
    if (this.#turns.size === 0) {
      this.#log.replaceChildren(
        element("div", "empty", [
          element("h2", "", [this.#strings.emptyTitle]),
          element("p", "", [this.#strings.emptyText]),
          element("p", "note", [this.#strings.emptyHint]),
        ]),
      );
    } else this.#log.replaceChildren(...[...this.#turns.values()].map((turn) => this.#draw(turn)));
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#showButtons();
  }

  #draw(turn: Turn): HTMLElement {
    const isLast = turn.id === [...this.#turns.keys()].at(-1);
    return drawTurn(turn, { strings: this.#strings, isLast, send });
  }

  #showButtons(): void {
    const isAsking = [...this.#turns.values()].some(({ state }) => state === "asking");
    this.#stopButton.hidden = !isAsking;
    this.#sendButton.hidden = isAsking;
  }
}

let page: ChatPage | undefined;

window.addEventListener("message", ({ data }: MessageEvent<ToPanel>) => {
  switch (data.type) {
    case "snapshot":
      page = new ChatPage(data.strings, data.turns, data.status);
      break;
    case "turn":
      page?.setTurn(data.turn);
      break;
    case "status":
      page?.setStatus(data.status);
      break;
    case "mentions":
      page?.box.offer(data.serial, data.mentions);
      break;
    case "compose":
      page?.box.compose(data.question, data.mentions);
      break;
  }
});
send({ type: "ready" });
