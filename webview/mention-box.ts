/** The question box: grows with its text, and offers files, folders, symbols and the selection behind an "@". */
import { element } from "./element.ts";
import type { Mention } from "./messages.ts";

/** From an "@" at a word's start up to the cursor. */
const AT = /(^|\s)@([^\s@]*)$/;

export interface MentionBoxOptions {
  readonly strings: Record<string, string>;
  readonly onSubmit: (question: string, mentions: readonly Mention[]) => void;
  /** Asks for what may be mentioned; the answer comes to `offer`. */
  readonly onQuery: (serial: number, query: string) => void;
}

const ICONS: Record<Mention["kind"], string> = {
  file: "file",
  folder: "folder",
  symbol: "symbol-method",
  selection: "selection",
};

export class MentionBox {
  readonly node: HTMLElement;
  readonly #input: HTMLTextAreaElement;
  readonly #list: HTMLUListElement;
  readonly #options: MentionBoxOptions;
  #known: Mention[] = [];
  #offered: readonly Mention[] = [];
  #chosen = 0;
  #serial = 0;

  constructor(options: MentionBoxOptions) {
    this.#options = options;
    const { strings } = options;
    this.#input = element("textarea", "", [], {
      rows: "1",
      placeholder: strings.placeholder,
      "aria-label": strings.placeholder,
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": "mentions",
      "aria-autocomplete": "list",
    });
    this.#list = element("ul", "mentions", [], { id: "mentions", role: "listbox", hidden: "" });
    this.node = element("div", "box", [this.#list, this.#input]);
    this.#input.addEventListener("input", () => this.#onInput());
    this.#input.addEventListener("keydown", (event) => this.#onKey(event));
    this.#input.addEventListener("blur", () => setTimeout(() => this.#close(), 150));
  }

  get text(): string {
    return this.#input.value;
  }

  focus(): void {
    this.#input.focus();
  }

  /** Fills the box with a question that is still to be sent. */
  compose(question: string, mentions: readonly Mention[]): void {
    this.#known = [...mentions];
    this.#input.value = [...mentions.map(({ label }) => `@${label}`), question].join(" ").trim();
    if (this.#input.value) this.#input.value += question ? "" : " ";
    this.#resize();
    this.focus();
  }

  submit(): void {
    const text = this.#input.value.trim();
    if (text === "") return;
    const mentions = this.#known.filter(({ label }) => text.includes(`@${label}`));
    let question = text;
    for (const { label } of mentions) question = question.replaceAll(`@${label}`, "").replaceAll(/ {2,}/g, " ");
    // Somebody who only mentions something wants to know about it.
    this.#options.onSubmit(question.trim() || mentions.map(({ label }) => label).join(" "), mentions);
    this.#input.value = "";
    this.#known = [];
    this.#close();
    this.#resize();
  }

  offer(serial: number, mentions: readonly Mention[]): void {
    if (serial !== this.#serial) return;
    this.#offered = mentions;
    this.#chosen = 0;
    this.#draw();
  }

  #onInput(): void {
    this.#resize();
    const at = AT.exec(this.#input.value.slice(0, this.#input.selectionStart));
    if (at) this.#options.onQuery(++this.#serial, at[2]);
    else this.#close();
  }

  #onKey(event: KeyboardEvent): void {
    // Enter also ends the input of composed characters; that is not for us.
    if (event.isComposing) return;
    const isOpen = this.#offered.length > 0;
    if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.#chosen = (this.#chosen + step + this.#offered.length) % this.#offered.length;
      this.#draw();
    } else if (isOpen && (event.key === "Enter" || event.key === "Tab")) this.#take(this.#offered[this.#chosen]);
    else if (isOpen && event.key === "Escape") this.#close();
    else if (event.key === "Enter" && !event.shiftKey) this.submit();
    else return;
    event.preventDefault();
  }

  #take(mention: Mention): void {
    const cursor = this.#input.selectionStart;
    const before = this.#input.value.slice(0, cursor).replace(AT, (_, space: string) => `${space}@${mention.label} `);
    this.#input.value = before + this.#input.value.slice(cursor);
    this.#input.setSelectionRange(before.length, before.length);
    this.#known.push(mention);
    this.#close();
    this.focus();
  }

  #close(): void {
    this.#serial++;
    this.#offered = [];
    this.#draw();
  }

  #draw(): void {
    const items = this.#offered.map((mention, index) => {
      const icon = element("span", `codicon codicon-${ICONS[mention.kind]}`, [], { "aria-hidden": "true" });
      const detail = mention.kind === "symbol" ? (mention.path ?? "") : "";
      const item = element("li", "", [icon, element("span", "", [mention.label]), element("span", "path", [detail])], {
        role: "option",
        id: `mention-${index}`,
        "aria-selected": String(index === this.#chosen),
      });
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        this.#take(mention);
      });
      return item;
    });
    this.#list.replaceChildren(...items);
    this.#list.hidden = items.length === 0;
    this.#list.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
    this.#input.setAttribute("aria-expanded", String(items.length > 0));
    if (items.length > 0) this.#input.setAttribute("aria-activedescendant", `mention-${this.#chosen}`);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #resize(): void {
    this.#input.style.height = "auto";
    this.#input.style.height = `${Math.min(this.#input.scrollHeight, 200)}px`;
  }
}
