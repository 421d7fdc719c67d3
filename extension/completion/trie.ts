/** Values by text, found for every text that begins with theirs: a radix trie, long strings on few nodes. */

/** A node, or a whole trie: the strings on the way from the root spell the text that a node stands for. */
export class TrieNode<T> {
  #edge: string;
  #parent: TrieNode<T> | undefined;
  /** By the first character of their strings. */
  readonly #children = new Map<string, TrieNode<T>>();
  value: T | undefined;

  constructor(edge = "", parent?: TrieNode<T>) {
    this.#edge = edge;
    this.#parent = parent;
  }

  get isEmpty(): boolean {
    return this.#children.size === 0 && this.value === undefined;
  }

  /** The node that stands for `text`, made where there is none. */
  at(text: string): TrieNode<T> {
    if (text === "") return this;
    const child = this.#children.get(text[0]);
    if (!child) return this.#adopt(new TrieNode<T>(text, this));
    const length = sharedLength(child.#edge, text);
    if (length === child.#edge.length) return child.at(text.slice(length));
    const between = this.#adopt(new TrieNode<T>(text.slice(0, length), this));
    child.#edge = child.#edge.slice(length);
    between.#adopt(child);
    return between.at(text.slice(length));
  }

  /** The values on the path of `text`: those of the texts it begins with, the shortest first. */
  *along(text: string): Generator<T> {
    let node: TrieNode<T> | undefined = this;
    for (let rest = text; node; ) {
      if (node.value !== undefined) yield node.value;
      node = node.#children.get(rest[0]);
      if (!node || !rest.startsWith(node.#edge)) return;
      rest = rest.slice(node.#edge.length);
    }
  }

  /** Takes the value away, and the nodes that only led to it; returns the root. */
  clear(): TrieNode<T> {
    this.value = undefined;
    const parent = this.#parent;
    if (!parent) return this;
    if (this.#children.size > 1) return parent.#root();
    parent.#children.delete(this.#edge[0]);
    // One string less on the way to an only child.
    for (const child of this.#children.values()) {
      child.#edge = this.#edge + child.#edge;
      parent.#adopt(child);
    }
    const leadsNowhere = parent.value === undefined && parent.#children.size < 2;
    return leadsNowhere ? parent.clear() : parent.#root();
  }

  #adopt(child: TrieNode<T>): TrieNode<T> {
    child.#parent = this;
    this.#children.set(child.#edge[0], child);
    return child;
  }

  #root(): TrieNode<T> {
    return this.#parent ? this.#parent.#root() : this;
  }
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
