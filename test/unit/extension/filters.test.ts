import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { duplicateLine } from "../../../extension/completion/filters/duplicate-line.ts";
import { empty } from "../../../extension/completion/filters/empty.ts";
import { suggestionOf } from "../../../extension/completion/filters/index.ts";
import { repeatsItself } from "../../../extension/completion/filters/repeats-itself.ts";
import { repeatsSuffix } from "../../../extension/completion/filters/repeats-suffix.ts";
import { unbalancedBrackets } from "../../../extension/completion/filters/unbalanced-brackets.ts";

const at = (prefix = "", suffix = "") => ({ prefix, suffix });

suite("filters of suggestions", () => {
  test("empty: white space is no suggestion, code is", () => {
    assert.equal(empty(" \n\t\r\n", at()), undefined);
    assert.equal(empty("\n  x", at()), "\n  x");
  });

  test("repeatsSuffix: drops what stands behind the cursor already", () => {
    assert.equal(repeatsSuffix("return a;\n}", at("", "\n  return a;\n}\n")), undefined);
    assert.equal(repeatsSuffix("return a;", at("", "\r\n\treturn a;\r\n")), undefined);
    assert.equal(repeatsSuffix("return b;", at("", "\nreturn a;\n")), "return b;");
    assert.equal(repeatsSuffix("a\nb", at("", "\na")), "a\nb");
  });

  test("duplicateLine: cuts before a line that says the one before it again", () => {
    assert.equal(duplicateLine("first();\nfirst();\nfirst();", at("  ")), "first();");
    assert.equal(duplicateLine("total += 1", at("total += 1\n")), undefined);
    assert.equal(duplicateLine("al += 1\ntotal += 1", at("tot")), "al += 1");
    assert.equal(duplicateLine("first();\r\nfirst();", at("\r\n")), "first();");
    assert.equal(duplicateLine("  }\n}\n}", at("{{{\n")), "  }\n}\n}");
    assert.equal(duplicateLine("a = one();\nb = two();", at("")), "a = one();\nb = two();");
  });

  test("unbalancedBrackets: cuts before a closer that nothing opens", () => {
    assert.equal(unbalancedBrackets("a, b)", at("call(")), "a, b)");
    assert.equal(unbalancedBrackets("a, b))", at("call(")), "a, b)");
    assert.equal(unbalancedBrackets(")", at("call()")), undefined);
    assert.equal(unbalancedBrackets("x[0]};", at("if (a) {")), "x[0]};");
    assert.equal(unbalancedBrackets("x]", at("(")), "x");
  });

  test("unbalancedBrackets: brackets in strings are none, wherever the cursor stands", () => {
    assert.equal(unbalancedBrackets('":)", b);', at("call(")), '":)", b);');
    assert.equal(unbalancedBrackets("}", at('if (a) {\n  print("(");\n')), "}");
    assert.equal(unbalancedBrackets("}", at("if (a) {\n  c == '(';\n")), "}");
    assert.equal(unbalancedBrackets('b)" + f("x"))', at('call("a (')), 'b)" + f("x"))');
    assert.equal(unbalancedBrackets("&'a str)", at("fn f<'a>(x: ")), "&'a str)");
  });

  test("unbalancedBrackets: a bracket left open in a comment counts until what is around it is closed", () => {
    assert.equal(unbalancedBrackets("a)", at("f() {\n  // see (\n}\ncall(")), "a)");
    assert.equal(unbalancedBrackets("}", at("class A {\n  f() {\n    // see (\n  }\n")), "}");
  });

  test("repeatsItself: drops loops, keeps tables and code", () => {
    assert.equal(repeatsItself("_ITE_ITE_ITE_ITE_ITE", at()), undefined);
    assert.equal(repeatsItself("0, 0, 0, 0, 0, 0, 0, ", at()), undefined);
    assert.equal(repeatsItself("x = 000000000000000", at()), undefined);
    assert.equal(repeatsItself("const point = [0, 0, 0];", at()), "const point = [0, 0, 0];");
    assert.equal(repeatsItself("# ------\nreturn first + second", at()), "# ------\nreturn first + second");
  });

  test("all together: the text where nothing is wrong with it, nothing where one filter drops it or it is a guess", () => {
    const sure = (text: string) => ({ text, confidence: 0.9 });
    assert.equal(suggestionOf({ text: "second)", confidence: 0.01 }, at("add(first, ", "\n")), "");
    assert.equal(suggestionOf(sure("second)"), at("add(first, ", "\n")), "second)");
    assert.equal(suggestionOf(sure("   "), at()), "");
    assert.equal(suggestionOf(sure("))"), at("f()")), "");
  });
});
