/** Answers are markdown from a model or a repository: HTML in them is text, and no link leads anywhere but to a citation. */
import MarkdownIt from "markdown-it";

const markdown = new MarkdownIt({ html: false, linkify: false, breaks: true });
// A link or picture of a model's making could lead anywhere; their text stays readable.
markdown.disable(["link", "image", "autolink", "reference"]);

const fence = markdown.renderer.rules.fence!;
markdown.renderer.rules.fence = (tokens, index, options, env, self) =>
  `<figure class="code">${fence(tokens, index, options, env, self)}</figure>`;

/** Marks of citations, and paths with line numbers, in the text outside of code blocks. */
const MARKS = /\[(\d{1,3})\]/g;

markdown.renderer.rules.text = (tokens, index) =>
  markdown.utils
    .escapeHtml(tokens[index].content)
    .replace(MARKS, (_, n: string) => `<button type="button" class="mark" data-citation="${n}">${n}</button>`);

/** The HTML of an answer. Marks like [2] become buttons with the number in `data-citation`. */
export function renderMarkdown(text: string): string {
  return markdown.render(text);
}
