/** Models that cannot be run, given to the command line: one sentence with cause and remedy, and a status that is not 0. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";
import { runCli } from "../run-cli.ts";
import { gguf, text } from "./gguf-writer.ts";
import { smallGguf, TINY, TOKENIZER, temporaryCache, writeSmallFolder } from "./small-model.ts";

/** Runs inspect and generate on a model; both must fail with the sentence, and no weights may be left behind. */
function fails(t: TestContext, write: (path: string) => void, sentence: RegExp): void {
  const folder = temporaryCache(t);
  const path = join(folder, "model");
  write(path);
  for (const args of [
    ["inspect", path],
    ["generate", "x", "--model", path, "--max-tokens", "1"],
  ]) {
    const { status, stdout, stderr } = runCli(args, { ...process.env, INIT_CWD: undefined });
    assert.equal(status, 1, `${args[0]}: ${stdout}${stderr}`);
    assert.match(stderr, sentence, args[0]);
    assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
    if (args[0] === "generate") assert.equal(stdout, "");
  }
  const weights = join(folder, "cache", "weights");
  const left = existsSync(weights) ? readdirSync(weights).filter((name) => name !== "hashes") : [];
  assert.deepEqual(left, []);
}

const fixture = join(packageRoot, "test", "fixtures", "models", "llama");

const file = (bytes: Uint8Array) => (path: string) => writeFileSync(path, bytes);

test("an unknown architecture", (t) => {
  fails(
    t,
    file(gguf({ ...TOKENIZER, "general.architecture": text("mamba\u001b[2J") }, [])),
    /"mamba\ufffd\[2J"; choose a model/,
  );
  const folder = (path: string) => {
    writeSmallFolder(path, { ...TINY, vocabSize: 300 });
    const config = join(path, "config.json");
    writeFileSync(config, readFileSync(config, "utf8").replace('"llama"', '"gemma3"'));
  };
  fails(t, folder, /has the architecture "gemma3"; choose a model of one of llama, qwen2, qwen3\.$/m);
});

test("an unknown tensor type", (t) => {
  const bytes = smallGguf("F32", TINY);
  const name = "token_embd.weight";
  bytes.writeUInt32LE(10, bytes.indexOf(name) + name.length + 4 + 16);
  fails(
    t,
    file(bytes),
    /stores tensor token_embd.weight as Q2_K, which Longsight does not read; choose a file with one of/,
  );
});

test("a missing tokenizer is told before anything is converted", (t) => {
  fails(t, file(smallGguf("F32", TINY, {})), /has no tokenizer; choose a file that includes one\.$/m);
  const folder = (path: string) => cpSync(fixture, path, { recursive: true });
  fails(
    t,
    folder,
    /has no tokenizer; put tokenizer.json, vocab.json and merges.txt, or tokenizer.model beside the model/,
  );
});

test("a file cut short, and a file that is no model", (t) => {
  const bytes = smallGguf("F32", TINY);
  fails(t, file(bytes.subarray(0, bytes.length - 1000)), /is damaged or incomplete \(.*\); download it again\.$/m);
  fails(t, file(bytes.subarray(0, 1000)), /is damaged or incomplete \(.*\); download it again\.$/m);
  fails(t, file(Buffer.alloc(0)), /too short for a GGUF file/);
  fails(t, file(Buffer.from("just some text, long enough")), /is not a GGUF file; give a .gguf file or a safetensors/);
});

test("a folder without a model, and no file at all", (t) => {
  fails(t, (path) => mkdirSync(path), /config.json does not exist/);
  const headless = (path: string) => {
    cpSync(fixture, path, { recursive: true });
    rmSync(join(path, "model.safetensors"));
  };
  fails(t, headless, /model.safetensors does not exist; give a .gguf file or a complete safetensors folder/);
  fails(t, () => {}, /does not exist; check the path/);
});
