"""Made-up names, the functions they name and lines that use them: what only memory can know."""

import numpy as np

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
# By language: the definition before and after the value, and the line that uses it before and after the value.
FORMS = {
    "python": ('def {name}():\n    return "', '"\n', 'assert {name}() == "', '"\n'),
    "typescript": ('export function {name}() {{\n  return "', '";\n}}\n', 'expect({name}()).toBe("', '");\n'),
    "javascript": ('function {name}() {{\n  return "', '";\n}}\n', 'assert.equal({name}(), "', '");\n'),
    "go": ('func {name}() string {{\n\treturn "', '"\n}}\n', 'require.Equal(t, {name}(), "', '")\n'),
    "rust": ('pub fn {name}() -> &str {{\n    "', '"\n}}\n', 'assert_eq!({name}(), "', '");\n'),
}


def word(rng: np.random.Generator, syllables: int) -> str:
    return "".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=syllables))


def rare(rng: np.random.Generator) -> tuple[str, str]:
    """A name and the value it stands for."""
    return f"get_{word(rng, 3)}_{word(rng, 2)}", word(rng, 3)


def resembling(rng: np.random.Generator, name: str) -> str:
    """A made-up name with one syllable, or all of its last part, changed."""
    start, first, last = name.split("_")
    if rng.random() < 0.5:
        return f"{start}_{first}_{word(rng, len(last) // 2)}"
    parts = [first, last]
    which = int(rng.integers(2))
    at = 2 * int(rng.integers(len(parts[which]) // 2))
    parts[which] = parts[which][:at] + word(rng, 1) + parts[which][at + 2 :]
    return "_".join([start, *parts])


def definition(language: str, name: str) -> tuple[str, str]:
    """What stands before and after the value."""
    before, after, _, _ = FORMS.get(language, FORMS["javascript"])
    return before.format(name=name), after.format()


def use(language: str, name: str) -> tuple[str, str]:
    _, _, before, after = FORMS.get(language, FORMS["javascript"])
    return before.format(name=name), after.format()
