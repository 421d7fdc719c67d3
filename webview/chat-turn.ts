/** Draws one question with its answer, sources and actions. */
import { element, iconButton } from "./element.ts";
import { renderMarkdown } from "./markdown.ts";
import type { FromPanel, Turn } from "./messages.ts";

type Strings = Record<string, string>;
type Citation = Turn["citations"][number];

export interface TurnContext {
  readonly strings: Strings;
  readonly isLast: boolean;
  readonly send: (message: FromPanel) => void;
}

export function drawTurn(turn: Turn, context: TurnContext): HTMLElement {
  const { strings } = context;
  const article = element("article", "turn", [], { "data-state": turn.state, "data-id": String(turn.id) });
  article.append(drawQuestion(turn));
  if (turn.answer) article.append(drawAnswer(turn, context));
  if (turn.state === "asking" && !turn.answer) {
    article.append(element("p", "waiting", [turn.work ?? strings.searching], { role: "status" }));
  }
  if (turn.error) article.append(element("p", "error", [turn.error], { role: "alert" }));
  if (turn.state === "stopped") article.append(element("p", "note", [strings.stopped]));
  if (turn.citations.length > 0) article.append(drawSources(turn, context), drawScores(turn, strings));
  if (turn.state !== "asking") article.append(drawFooter(turn, context));
  return article;
}

function drawQuestion(turn: Turn): HTMLElement {
  const mentions = turn.mentions.map(({ kind, label }) => element("span", `chip ${kind}`, [`@${label}`]));
  return element("div", "question", [element("p", "", [turn.question]), ...mentions], {
    role: "heading",
    "aria-level": "2",
  });
}

function drawAnswer(turn: Turn, context: TurnContext): HTMLElement {
  const answer = element("div", "answer", [], { "aria-live": "polite", "aria-busy": String(turn.state === "asking") });
  // Safe: markdown-it with html off, and no rule of ours that writes anything unescaped.
  answer.innerHTML = renderMarkdown(turn.answer);
  for (const mark of answer.querySelectorAll<HTMLButtonElement>("button.mark")) {
    const citation = turn.citations[Number(mark.dataset.citation) - 1];
    if (!citation) {
      mark.replaceWith(`[${mark.dataset.citation}]`);
      continue;
    }
    mark.title = placeOf(citation);
    mark.setAttribute("aria-label", placeOf(citation));
    mark.addEventListener("click", () => open(turn, citation, context));
  }
  for (const figure of answer.querySelectorAll<HTMLElement>("figure.code")) addCodeActions(figure, context);
  return answer;
}

function addCodeActions(figure: HTMLElement, { strings, send }: TurnContext): void {
  const code = () => figure.querySelector("code")?.textContent ?? "";
  figure.prepend(
    element(
      "div",
      "toolbar",
      [
        iconButton("copy", strings.copy, () => send({ type: "copy", code: code() })),
        iconButton("insert", strings.insert, () => send({ type: "insert", code: code() })),
        iconButton("diff", strings.apply, () => send({ type: "apply", code: code() })),
      ],
      { role: "toolbar", "aria-label": strings.codeActions },
    ),
  );
}

export function placeOf({ file, startLine, endLine }: Citation): string {
  return startLine === endLine ? `${file}:${startLine}` : `${file}:${startLine}-${endLine}`;
}

function open(turn: Turn, { file, startLine, endLine }: Citation, { send }: TurnContext): void {
  send({ type: "open", folder: turn.folder, file, startLine, endLine });
}

function drawSources(turn: Turn, context: TurnContext): HTMLElement {
  const items = turn.citations.map((citation, index) => {
    const name = citation.file.split("/").at(-1) ?? citation.file;
    const lines =
      citation.startLine === citation.endLine ? `${citation.startLine}` : `${citation.startLine}-${citation.endLine}`;
    const link = element(
      "button",
      "source",
      [
        element("span", "number", [String(index + 1)]),
        element("span", "file", [`${name}:${lines}`]),
        element("span", "symbol", [citation.symbol ?? ""]),
        // Of a file outside of folders that is said already.
        element("span", "path", [citation.file === name ? "" : citation.file]),
      ],
      { type: "button", title: placeOf(citation), "aria-label": `${placeOf(citation)} ${citation.symbol ?? ""}` },
    );
    link.addEventListener("click", () => open(turn, citation, context));
    return element("li", "", [link]);
  });
  return element("ol", "sources", items, { "aria-label": context.strings.sources });
}

/** Why these sources: their scores as numbers and as bars, and the lines themselves. */
function drawScores(turn: Turn, strings: Strings): HTMLElement {
  const best = Math.max(...turn.citations.map(({ score }) => score));
  const rows = turn.citations.map((citation, index) => {
    const bar = element("meter", "", [], { min: "0", max: String(best), value: String(Math.max(0, citation.score)) });
    bar.setAttribute("aria-label", `${strings.score} ${citation.score}`);
    const detail = [citation.signature, citation.doc].filter((part) => part !== null).join(" - ");
    return element("li", "", [
      element("div", "row", [
        element("span", "number", [String(index + 1)]),
        element("span", "place", [placeOf(citation)]),
        bar,
        element("span", "value", [citation.score.toFixed(2)]),
      ]),
      ...(detail ? [element("p", "detail", [detail])] : []),
    ]);
  });
  return element("details", "why", [
    element("summary", "", [strings.whyThese]),
    element("p", "note", [strings.scoreNote]),
    ...(typeof turn.stability === "number" ? [element("p", "note", [firmness(turn.stability, strings)])] : []),
    element("ol", "", rows),
  ]);
}

/** On questions with known answers the first source was right in 37 % below BORDERLINE, 61 % up to STABLE, 80 % above. */
const BORDERLINE = 0.25;
const STABLE = 0.75;

function firmness(stability: number, strings: Strings): string {
  const says = stability >= STABLE ? strings.stable : stability >= BORDERLINE ? strings.borderline : strings.wouldFlip;
  return `${says} (${stability.toFixed(2)}).`;
}

function drawFooter(turn: Turn, { strings, isLast, send }: TurnContext): HTMLElement {
  const facts = [
    turn.freshness,
    turn.model === "extractive" ? strings.quoted : turn.model,
    turn.totalMs === undefined ? undefined : `${Math.round(turn.totalMs)} ms`,
  ];
  const footer = element("footer", "", [element("span", "", [facts.filter(Boolean).join(" · ")])]);
  footer.append(iconButton("copy", strings.copyAnswer, () => send({ type: "copy", code: turn.answer })));
  if (isLast) footer.append(iconButton("refresh", strings.regenerate, () => send({ type: "regenerate", id: turn.id })));
  return footer;
}
