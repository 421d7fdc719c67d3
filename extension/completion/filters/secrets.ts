import type { Filter } from "./filter.ts";

/** Text shaped like a credential. A model that writes one has either learnt it or made it up; neither belongs in code. */
const SECRETS = [
  /\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{30,}/,
  /\bgithub_pat_[A-Za-z0-9_]{40,}/,
  /\bsk-[A-Za-z0-9_-]{20,}/,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/,
  /\bAIza[A-Za-z0-9_-]{30,}/,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/,
  /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\./,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\b(?:password|passwd|secret|api[_-]?key|access[_-]?token)\b["']?\s*[:=]\s*["'][^"'\s]{12,}["']/i,
];

export const secrets: Filter = (text, { prefix }) => {
  const line = prefix.slice(prefix.lastIndexOf("\n") + 1) + text;
  return SECRETS.some((shape) => shape.test(line)) ? undefined : text;
};
