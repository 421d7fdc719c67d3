/**
 * The files a case ranks over.
 *
 * Bug-localisation labels are the source files a commit modified, less tests, type declarations (.d.ts), examples,
 * playgrounds, documentation and benchmarks: those are changed by the same commits and are never among the labels, so
 * they are left out of the pool too ("non-test source pool"). Question labels do name test files, so for questions the
 * pool is every source file.
 */

const SOURCE =
  /\.(?:c|cc|cjs|cpp|cs|cts|cxx|dart|ex|exs|go|h|hpp|hs|java|js|jsx|kt|lua|m|mjs|ml|mts|php|pl|ps1|py|pyi|pyx|r|rb|rs|scala|sh|svelte|swift|ts|tsx|vue|zig)$/i;
const TEST_NAME = /(?:[._-](?:test|tests|spec|bench)\.\w+|(?:^|\/)(?:test_[^/]*|conftest\.py)|\.d\.[cm]?ts)$/i;
const TEST_FOLDER =
  /(?:^|\/)(?:tests?|__tests__|specs?|testing|testdata|test[-_]\w+|\w+[-_]tests?|e2e|fixtures?|__fixtures__|__mocks__|mocks?|examples?|playground|docs?|benchmarks?|benches|bench|node_modules|vendor|third_party|dist)\//i;

/** Whether a path is program text in a known language. */
export function isSource(path: string): boolean {
  return SOURCE.test(path);
}

/** Whether a path belongs to the non-test source pool. */
export function isNonTestSource(path: string): boolean {
  return isSource(path) && !TEST_NAME.test(path) && !TEST_FOLDER.test(path);
}
