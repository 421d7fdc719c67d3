"""Made-up names, what defines them and lines that use them: what only memory can know."""

from dataclasses import dataclass, replace

import numpy as np

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
KINDS = {"function": 0.5, "constant": 0.125, "number": 0.125, "parameter": 0.125, "member": 0.125}  # and how often they are drawn

_PYTHON = {
    "function": ('def {name}():\n    return "', '"\n', 'assert {name}() == "', '"\n'),
    "constant": ('{name} = "', '"\n', 'assert {name} == "', '"\n'),
    "number": ("{name} = ", "\n", "assert {name} == ", "\n"),
    "parameter": ("def {name}(", "):\n    pass\n", "{name}(", ")\n"),
    "member": ("class {name}:\n    ", " = None\n", "x = {name}()\nx.", "\n"),
}
_JAVASCRIPT = {
    "function": ('function {name}() {{\n  return "', '";\n}}\n', 'assert.equal({name}(), "', '");\n'),
    "constant": ('const {name} = "', '";\n', 'assert.equal({name}, "', '");\n'),
    "number": ("const {name} = ", ";\n", "assert.equal({name}, ", ");\n"),
    "parameter": ("function {name}(", ") {{}}\n", "{name}(", ");\n"),
    "member": ("class {name} {{\n  ", "() {{}}\n}}\n", "new {name}().", "();\n"),
}
_TYPESCRIPT = {
    "function": ('export function {name}() {{\n  return "', '";\n}}\n', 'expect({name}()).toBe("', '");\n'),
    "constant": ('export const {name} = "', '";\n', 'expect({name}).toBe("', '");\n'),
    "number": ("export const {name} = ", ";\n", "expect({name}).toBe(", ");\n"),
    "parameter": ("export function {name}(", ": string) {{}}\n", "{name}(", ");\n"),
    "member": ("export interface {name} {{\n  ", ": string;\n}}\n", "const x: {name} = {{\n  ", ': "",\n}};\n'),
}
_GO = {
    "function": ('func {name}() string {{\n\treturn "', '"\n}}\n', 'require.Equal(t, {name}(), "', '")\n'),
    "constant": ('const {name} = "', '"\n', 'require.Equal(t, {name}, "', '")\n'),
    "number": ("const {name} = ", "\n", "require.Equal(t, {name}, ", ")\n"),
    "parameter": ("func {name}(", " string) {{\n}}\n", "{name}(", ")\n"),
    "member": ("type {name} struct {{\n\t", " string\n}}\n", "x := {name}{{", ': ""}}\n'),
}
_RUST = {
    "function": ('pub fn {name}() -> &str {{\n    "', '"\n}}\n', 'assert_eq!({name}(), "', '");\n'),
    "constant": ('pub const {name}: &str = "', '";\n', 'assert_eq!({name}, "', '");\n'),
    "number": ("pub const {name}: usize = ", ";\n", "assert_eq!({name}, ", ");\n"),
    "parameter": ("pub fn {name}(", ": usize) {{}}\n", "{name}(", ");\n"),
    "member": ("struct {name} {{\n    ", ": usize,\n}}\n", "let x = {name} {{\n    ", ": 0,\n}};\n"),
}
# By language and kind: the definition before and after the value, and the line that uses it before and after the value.
FORMS = {"python": _PYTHON, "javascript": _JAVASCRIPT, "typescript": _TYPESCRIPT, "go": _GO, "rust": _RUST}


def word(rng: np.random.Generator, syllables: int) -> str:
    return "".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=syllables))


@dataclass(frozen=True)
class MadeUp:
    """Something with a name, and the value it stands for: what it returns, its parameter, its member."""

    kind: str
    first: str
    last: str
    is_camel: bool
    value: str

    @property
    def name(self) -> str:
        if self.kind == "member":
            return self.first.title() + self.last.title()
        if self.kind in ("constant", "number"):
            return f"{self.first}_{self.last}".upper()
        return f"get{self.first.title()}{self.last.title()}" if self.is_camel else f"get_{self.first}_{self.last}"

    def resembling(self, rng: np.random.Generator) -> "MadeUp":
        """With one syllable of the name, or all of its last part, changed; and another value."""
        value = value_of(rng, self.kind)
        if rng.random() < 0.5:
            return replace(self, last=word(rng, len(self.last) // 2), value=value)
        which = "first" if rng.random() < 0.5 else "last"
        old = getattr(self, which)
        at = 2 * int(rng.integers(len(old) // 2))
        return replace(self, **{which: old[:at] + word(rng, 1) + old[at + 2 :]}, value=value)

    def definition(self, language: str) -> tuple[str, str]:
        """What stands before and after the value."""
        before, after, _, _ = self._forms(language)
        return before.format(name=self.name), after.format()

    def use(self, language: str) -> tuple[str, str]:
        """A line that needs the value: what stands before and after it."""
        _, _, before, after = self._forms(language)
        return before.format(name=self.name), after.format()

    def _forms(self, language: str) -> tuple[str, str, str, str]:
        return FORMS.get(language, FORMS["javascript"])[self.kind]


def value_of(rng: np.random.Generator, kind: str) -> str:
    return str(rng.integers(1000, 100_000)) if kind == "number" else word(rng, 3)


def made_up(rng: np.random.Generator, kind: str | None = None) -> MadeUp:
    """Of the kind that is given, or any: then a name may be written in camel case, too."""
    drawn = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    return MadeUp(drawn, word(rng, 3), word(rng, 2), kind is None and rng.random() < 0.3, value_of(rng, drawn))
