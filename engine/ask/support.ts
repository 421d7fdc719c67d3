/** Whether what was found is about the question at all, so that the answer may be "I did not find this". */
import type { Evidence } from "./evidence.ts";
import type { Retrieved } from "./retrieve.ts";

/** The share of the question's words, weighted by what they tell, that the folder has at all. */
function knownShare({ idf, rarest }: Evidence): number {
  let known = 0;
  let all = 0;
  for (const weight of idf.values()) {
    known += weight;
    all += weight || rarest;
  }
  return all === 0 ? 0 : known / all;
}

/**
 * Measured by `npm run eval -- not-found`: higher, and more questions about the folder go without an answer; lower, and
 * more of those about other repositories get one.
 */
const MIN_SUPPORT = 11;
/**
 * A folder is small where its rarest word tells less than this, at about 1,500 spans. The fewer words a folder has, the
 * more it says that it has the question's.
 */
const LARGE_RAREST = 8;
/** Below it the question is about something else, however often its few known words occur. */
const MIN_KNOWN_SHARE = 0.3;

/**
 * The best file's score, times the known share of the question's words, times the square root of their number, is
 * enough: one word found says little, many found in one place say much.
 */
export function isSupported({ evidence, files }: Retrieved): boolean {
  const share = knownShare(evidence);
  const support = (files[0]?.score ?? 0) * share * Math.sqrt(evidence.idf.size);
  return share >= MIN_KNOWN_SHARE && support >= MIN_SUPPORT * Math.min(1, evidence.rarest / LARGE_RAREST) ** 2;
}
