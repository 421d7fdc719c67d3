/** Tells the lines that only name other files: they hold a question's words without saying anything. */
import type { StoredSpan } from "../memory/catalogue-types.ts";

const COMMENT = /^\s*(?:\/\/|\/?\*|#(?!\s*include)|"""|''')/;
/** A line of an import, whole or one of several: `import ... from "..."`, `use ...;`, `"module",`, `} from "..."`. */
const IMPORT =
  /^\s*(?:(?:import|from|package|use|using|require|require_once|#\s*include)\b|(?:export\b.*|\})\s*from\b|(?:const|let|var)\b.*\brequire\(|(?:[\w.]+\s+)?["'][^"']*["'][,;]?$|[\w$, ]+,?$|[)}\]];?$)/;

/** Whether a span outside of symbols is imports and comments for the most part. */
export function isPreamble({ symbol, text }: StoredSpan): boolean {
  if (symbol !== null) return false;
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !COMMENT.test(line));
  return lines.filter((line) => IMPORT.test(line)).length * 2 >= lines.length;
}
