/**
 * Whether a text holds what looks like a secret: a key, a token, a password. No completion ever does, wherever it would
 * come from: a model may have learned one, and the copier would offer one that lies in the repository. What is wrongly
 * held for a secret, a hash or a UUID, is nothing a completion could know either.
 */

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY/;

/** How well-known services write their keys. */
const KEY_FORMATS = [
  /\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{12,}/, // AWS
  /\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}/, // GitHub, GitLab
  /\bxox[abeoprs]-[\w-]{8,}|hooks\.slack\.com\/services\/\w+/, // Slack
  PRIVATE_KEY,
  /\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{32,}/i, // hashes and keys in hexadecimal
  /\beyJ[\w-]{8,}\.eyJ[\w-]{4,}/, // JSON web tokens
  /\bAIza[\w-]{24,}|\bya29\.[\w-]{16,}/, // Google
  /\bsk-[\w-]{16,}|\b[rs]k_(?:live|test)_\w{8,}|\bwhsec_\w{16,}/, // OpenAI, Anthropic, Stripe
  /\b(?:npm|hf|pypi)_[A-Za-z0-9]{16,}|\bpypi-[\w-]{16,}|\bdop_v1_\w{16,}|\bSG\.[\w-]{16,}/,
  /[a-z]:\/\/[^\s:@/"'`${}<>[\]]+:[^\s:@/"'`${}<>[\]]{3,}@/i, // a password inside a URL
];

/** A name that says secret, and a literal given to it: one word with a digit, no path. */
const NAMED =
  /(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)\w*["'`]?\s*(?::|=|=>|:=)\s*["'`](?=[^"'`]*\d)([^"'`\s${}<>/]{8,})["'`]/gi;
/** Such a literal may also name where the secret is found. */
const CONSTANT = /^[A-Z_0-9]+$/;

/** Characters of keys, and what they are written with. */
const KEY_RUN = /[A-Za-z0-9+/_=-]{20,}/g;

/** Runs shorter than this are not shown while they may go on. */
const OPEN_RUN = /[A-Za-z0-9+/_=.-]{12,}$/;

/** So much of the line before and behind a completion is looked at: a secret may be half typed. */
const NEAR_CHARS = 400;

/** Private keys are not longer than this. */
const MAX_KEY_CHARS = 8000;

/** Whether a completion would write a secret at the cursor, or go on with one. */
export function completesSecret(prefix: string, text: string, suffix: string): boolean {
  const before = prefix.slice(-NEAR_CHARS).split("\n").at(-1) ?? "";
  const after = suffix.slice(0, NEAR_CHARS).split("\n")[0];
  const near = prefix.slice(-MAX_KEY_CHARS);
  const keyStart = near.lastIndexOf("-----BEGIN ");
  const isInKey = keyStart >= 0 && PRIVATE_KEY.test(near.slice(keyStart)) && !near.includes("-----END ", keyStart);
  return text !== "" && (isInKey || hasSecret(before + text + after));
}

/** Whether a text holds what looks like a secret. */
export function hasSecret(text: string): boolean {
  return (
    KEY_FORMATS.some((format) => format.test(text)) ||
    [...text.matchAll(NAMED)].some(([, literal]) => !CONSTANT.test(literal)) ||
    (text.match(KEY_RUN) ?? []).some(isRandom)
  );
}

/** The part of an unfinished completion that can be shown: its end may be the beginning of a secret. */
export function shownSafely(text: string): string {
  return text.replace(OPEN_RUN, "");
}

/**
 * Whether letters and digits change between upper case, lower case and digits as random ones do: two times of five and
 * more, against one of five in names and paths. A name that does too is mostly made of words.
 */
function isRandom(run: string): boolean {
  const kinds = run
    .replace(/[^A-Za-z0-9]/g, "")
    .replace(/[a-z]/g, "a")
    .replace(/[A-Z]/g, "A")
    .replace(/[0-9]/g, "0");
  const nDigits = kinds.split("0").length - 1;
  const nInWords = (kinds.match(/a{3,}/g) ?? []).join("").length;
  let nChanges = 0;
  for (let i = 1; i < kinds.length; i++) if (kinds[i] !== kinds[i - 1]) nChanges++;
  return nDigits >= 2 && nChanges >= 0.35 * kinds.length && nInWords < 0.4 * kinds.length;
}
