/** Whether what was found is about the question at all, so that the answer may be "I did not find this". */
import type { Retrieved } from "./retrieve.ts";

/**
 * The best file's score, times the share of the question's words the folder knows, times the square root of their
 * number: one word found says little, many found in one place say much.
 */
export function support({ evidence, files }: Retrieved): number {
  const { idf, rarest } = evidence;
  let known = 0;
  let all = 0;
  for (const weight of idf.values()) {
    known += weight;
    all += weight || rarest;
  }
  return all === 0 ? 0 : ((files[0]?.score ?? 0) * known * Math.sqrt(idf.size)) / all;
}

/**
 * Measured by `npm run eval -- not-found`: higher, and more questions about the folder go without an answer; lower, and
 * more of those about other repositories get one.
 */
const MIN_SUPPORT = 11;

export function isSupported(retrieved: Retrieved): boolean {
  return support(retrieved) >= MIN_SUPPORT;
}
