/**
 * Oniguruma patterns, as tokenizer.json holds them, to JavaScript. Only what means the same in both goes through;
 * the rest is refused by name rather than read differently. Flags: g, u.
 */
import { shown } from "../messages.ts";
import { unsupported } from "./fields.ts";

/** Escapes outside and inside a character class whose meaning differs, or is spelled differently, in JavaScript. */
const ESCAPES: Readonly<Record<string, { outside: string; inside: string }>> = {
  // JavaScript's \s has U+FEFF and lacks U+0085; its \d and \w are ASCII.
  s: { outside: "\\p{White_Space}", inside: "\\p{White_Space}" },
  S: { outside: "\\P{White_Space}", inside: "\\P{White_Space}" },
  d: { outside: "\\p{Nd}", inside: "\\p{Nd}" },
  D: { outside: "\\P{Nd}", inside: "\\P{Nd}" },
  w: { outside: "[\\p{L}\\p{M}\\p{N}\\p{Pc}]", inside: "\\p{L}\\p{M}\\p{N}\\p{Pc}" },
  h: { outside: "[0-9a-fA-F]", inside: "0-9a-fA-F" },
  A: { outside: "(?<![\\s\\S])", inside: "A" },
  z: { outside: "(?![\\s\\S])", inside: "z" },
};
const SYNTAX = /[\^$\\.*+?()[\]{}|/]/;

/** The JavaScript regular expression for an Oniguruma pattern. */
export function fromOniguruma(pattern: string): RegExp {
  let source = "";
  let inClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === "\\") {
      const read = escaped(pattern, i, inClass);
      source += read.source;
      i += read.length - 1;
    } else if (inClass) {
      if (char === "[" || pattern.startsWith("&&", i)) throw refused(pattern);
      if (char === "]") inClass = false;
      source += char;
    } else if (char === "[") {
      inClass = true;
      source += char;
      if (pattern[i + 1] === "^") source += pattern[++i];
      if (pattern[i + 1] === "]") throw refused(pattern); // a literal ] in one, an empty class in the other
    } else if (char === "+" && /[*+?]/.test(pattern[i - 1] ?? "") && pattern[i - 2] !== "\\") {
      throw refused(pattern); // a possessive quantifier
    } else if (char === "(" && pattern[i + 1] === "?" && !/^\(\?(?:i?:|<?[=!])/.test(pattern.slice(i, i + 4))) {
      throw refused(pattern); // an atomic group, a comment, flags for the rest of the pattern ...
    } else if (char === ".") {
      source += "[^\\n]";
    } else if (char === "^") {
      source += "(?<![^\\n])"; // lines always count
    } else if (char === "$") {
      source += "(?![^\\n])";
    } else {
      source += char;
    }
  }
  try {
    return new RegExp(source, "gu");
  } catch {
    throw refused(pattern);
  }
}

/** The escape that starts at `at`: its JavaScript spelling and its length in the pattern. */
function escaped(pattern: string, at: number, inClass: boolean): { source: string; length: number } {
  const char = pattern[at + 1];
  if (char === undefined) throw refused(pattern);
  const known = ESCAPES[char];
  if (known) return { source: inClass ? known.inside : known.outside, length: 2 };
  const code = /^\\(?:x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))/.exec(pattern.slice(at, at + 12));
  if (code) return { source: `\\u{${code[1] ?? code[2] ?? code[3]}}`, length: code[0].length };
  const property = /^\\[pP]\{\^?[A-Za-z_=]+\}/.exec(pattern.slice(at, at + 60));
  if (property && !property[0].includes("^")) return { source: property[0], length: property[0].length };
  if (/[tnrfv]/.test(char) || SYNTAX.test(char)) return { source: `\\${char}`, length: 2 };
  if (char === "-") return { source: inClass ? "\\-" : "-", length: 2 };
  if (/[A-Za-z0-9]/.test(char)) throw refused(pattern); // back-references, \b, \R, \X ...
  return { source: char, length: 2 };
}

function refused(pattern: string): Error {
  return unsupported(`the pattern ${shown(pattern)}`);
}
