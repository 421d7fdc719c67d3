import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { fixture } from "../hybrid-golden.ts";
import { withHeader } from "./safetensors-writer.ts";

type Header = Record<string, Record<string, unknown>>;

/** Opens a copy of the fixture after `change` has been at its settings, its weights' header or their bytes. */
function changed(change: (config: Record<string, unknown>, header: Header, data: Buffer) => void) {
  const folder = mkdtempSync(join(tmpdir(), "longsight-hybrid-"));
  try {
    const config = JSON.parse(readFileSync(join(fixture.folder, "config.json"), "utf8"));
    const weights = readFileSync(join(fixture.folder, "model.safetensors"));
    const dataStart = 8 + Number(weights.readBigUInt64LE(0));
    const header = JSON.parse(weights.toString("utf8", 8, dataStart)) as Header;
    const data = weights.subarray(dataStart);
    change(config, header, data);
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    writeFileSync(join(folder, "model.safetensors"), withHeader(JSON.stringify(header), data));
    return openHybrid(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("rows of int8 come back with their scale, and the fingerprint follows the content", () => {
  const { config, weights } = openHybrid(fixture.folder);
  assert.deepEqual([config.landmarkLayer, config.memoryLayer], [1, 4]);
  const matrix = weights.matrix("blk.0.attn_qkv");
  assert.deepEqual([matrix.rows, matrix.cols], [96, 32]);
  assert.equal(changed(() => {}).weights.fingerprint, weights.fingerprint);
  const other = changed((settings) => {
    settings.name = "other";
  });
  assert.notEqual(other.weights.fingerprint, weights.fingerprint);
});

test("settings and tensors that contradict the format are refused", () => {
  const wrong: [string, unknown][] = [
    ["format", "longsight-hybrid-1"],
    ["layers", ["lightning", "dense"]],
    ["layers", ["lightning"]],
    ["landmark_layer", 4],
    ["memory_layer", 1],
    ["n_heads", 3],
    ["n_heads", -2],
    ["hidden_size", 2 ** 40],
    ["conv_taps", 4],
    ["suffix_tokens", 64],
    ["memory_classes", ["other"]],
    ["norm_eps", 0],
    ["block_size", 2 ** 20],
    ["special_tokens", { file: 999 }],
    ["special_tokens", { file: 3 }],
    ["vocab_size", 161],
  ];
  for (const [key, value] of wrong) {
    const attempt = () =>
      changed((config) => {
        config[key] = value;
      });
    assert.throws(attempt, (error) => error instanceof LongsightError && error.code === "bad-model", `${key} ${value}`);
  }
  const renamed = (from: string, to: string) => () =>
    changed((_, header) => {
      header[to] = header[from];
      delete header[from];
    });
  assert.throws(renamed("output_norm", "norm"), /tensor output_norm is missing/);
  assert.throws(renamed("blk.0.conv", "blk.9.conv"), /tensor blk.0.conv is missing/);
  assert.throws(renamed("blk.0.attn_qkv.scale", "x"), /tensor blk.0.attn_qkv.scale is missing/);
});

test("a weight or a scale that is no finite number is refused by name", () => {
  for (const name of ["output_norm", "blk.0.attn_qkv.scale"]) {
    const attempt = () =>
      changed((_, header, data) => {
        const [start] = header[name].data_offsets as number[];
        data.writeFloatLE(Number.POSITIVE_INFINITY, start + 4);
      });
    assert.throws(attempt, {
      code: "bad-model",
      message: new RegExp(`tensor ${name} holds a number that is not finite`),
    });
  }
});
