import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LongsightError } from "../../../engine/errors.ts";
import { openHybrid } from "../../../engine/models/hybrid.ts";
import { fixture } from "../hybrid-golden.ts";

/** Opens a copy of the fixture after `change` has been at its settings or its weights' header. */
function changed(change: (config: Record<string, unknown>, header: Record<string, Record<string, unknown>>) => void) {
  const folder = mkdtempSync(join(tmpdir(), "longsight-hybrid-"));
  try {
    cpSync(fixture.folder, folder, { recursive: true });
    const configPath = join(folder, "config.json");
    const config = JSON.parse(readFileSync(configPath, "utf8"));
    const weightsPath = join(folder, "model.safetensors");
    const weights = readFileSync(weightsPath);
    const headerBytes = Number(weights.readBigUInt64LE(0));
    const header = JSON.parse(weights.toString("utf8", 8, 8 + headerBytes));
    change(config, header);
    writeFileSync(configPath, JSON.stringify(config));
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    writeFileSync(weightsPath, Buffer.concat([length, text, weights.subarray(8 + headerBytes)]));
    return openHybrid(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("rows of int8 come back with their scale, and the fingerprint follows the content", () => {
  const { config, weights } = openHybrid(fixture.folder);
  assert.equal(config.memoryLayer, 1);
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
    ["format", "longsight-hybrid-2"],
    ["layers", ["lightning", "dense"]],
    ["layers", ["lightning"]],
    ["memory_layer", 4],
    ["n_heads", 3],
    ["n_heads", -2],
    ["hidden_size", 2 ** 40],
    ["conv_taps", 4],
    ["suffix_tokens", 64],
    ["memory_classes", ["other"]],
    ["norm_eps", 0],
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
