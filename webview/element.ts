/** Small helpers of both panels. */

/** An element with a class, children and attributes. Strings become text, never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  children: readonly (Node | string)[] = [],
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button with a picture of the codicon font and a name for those who do not see it. */
export function iconButton(icon: string, label: string, onClick: () => void): HTMLButtonElement {
  const picture = element("span", `codicon codicon-${icon}`, [], { "aria-hidden": "true" });
  const button = element("button", "icon", [picture], { type: "button", title: label, "aria-label": label });
  button.addEventListener("click", onClick);
  return button;
}
