/**
 * The one entry of every npm script. It runs on any Node from 18 on, installs what is missing, builds what is stale and
 * then runs the task on the project's own Node. All it says goes to stderr: stdout belongs to the result.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const node = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
const bin = (name) => join(root, "node_modules", ".bin", process.platform === "win32" ? `${name}.cmd` : name);

/** Runs a program; its failure ends this process with the same status. */
function run(command, args, options = {}) {
  const shell = process.platform === "win32" && command.endsWith(".cmd");
  const result = spawnSync(command, args, { stdio: "inherit", shell, ...options });
  if (result.error) {
    console.error(`${command} could not be started: ${result.error.message}`);
    process.exit(1);
  }
  if (result.signal) process.kill(process.pid, result.signal);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Installs the packages unless the lock file is the one they were installed from. */
function install() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const stamp = join(root, "node_modules", ".longsight-lock");
  if (existsSync(stamp) && existsSync(node) && readFileSync(stamp, "utf8") === lock) return;
  console.error("Installing packages ...");
  run(process.platform === "win32" ? "npm.cmd" : "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    // Only the CPU libraries inside the package are used; nothing else is fetched at install time.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
    shell: process.platform === "win32",
  });
  writeFileSync(stamp, lock);
}

/** The newest modification time below a folder's sources, in ms. */
function newestSource(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestSource(path));
    else if (/\.(ts|css|mjs)$/.test(entry.name)) newest = Math.max(newest, statSync(path).mtimeMs);
  }
  return newest;
}

/** Bundles every entry into dist/ unless the bundles are newer than every source file. */
function build(force) {
  const stamp = join(root, "dist", "bundled");
  const newest = Math.max(...["engine", "extension", "webview"].map((folder) => newestSource(join(root, folder))));
  const newestOfAll = Math.max(newest, statSync(join(root, "build.mjs")).mtimeMs);
  if (!force && existsSync(stamp) && statSync(stamp).mtimeMs > newestOfAll) return;
  onOurNode(`
    const { bundle } = await import("./build.mjs");
    await bundle();
  `);
  writeFileSync(stamp, "");
}

/** Runs a few lines of JavaScript on the project's own Node; what they print goes to stderr. */
function onOurNode(code, ...args) {
  run(node, ["--input-type=module", "--eval", code, "--", ...args], { cwd: root, stdio: ["ignore", 2, 2] });
}

/** Types and style. The webview and the workbench tests know the browser's types, the rest does not. */
function check() {
  run(bin("tsc"), [], { cwd: root });
  run(bin("tsc"), ["-p", "webview"], { cwd: root });
  run(bin("biome"), ["check", "--error-on-warnings"], { cwd: root });
}

/** Every test file below test/, in a fixed order. */
function testFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return testFiles(path);
      return entry.name.endsWith(".test.ts") ? [path] : [];
    });
}

const [task, ...args] = process.argv.slice(2);
const quietNode = ["--disable-warning=ExperimentalWarning"];
install();
switch (task) {
  case "cli":
    build(false);
    run(node, [...quietNode, "--enable-source-maps", join(root, "dist", "cli.js"), ...args]);
    break;
  case "eval":
  case "bench":
    if (task === "bench") build(false);
    run(node, [...quietNode, join(root, "test", task, "main.ts"), ...args], { cwd: root });
    break;
  case "build":
    build(true);
    break;
  case "package":
    // Without arguments for every platform; the files go into the package's root folder.
    onOurNode(
      `
      const { packageVsix, TARGETS } = await import("./build.mjs");
      const targets = process.argv.slice(1);
      await packageVsix(targets.length > 0 ? targets : TARGETS);
      `,
      ...args,
    );
    break;
  case "l10n":
    run(node, [...quietNode, join(root, "test", "l10n.ts")], { cwd: root });
    break;
  case "check":
    check();
    break;
  case "format":
    run(bin("biome"), ["check", "--write"], { cwd: root });
    break;
  case "test": {
    check();
    build(false);
    const files = args.length > 0 ? args : testFiles(join(root, "test"));
    const written = process.env.LONGSIGHT_SCENARIOS ? ["./test/scenarios-reporter.mjs"] : [];
    const reporters = ["spec", "./test/summary-reporter.mjs", ...written].flatMap((reporter) => [
      `--test-reporter=${reporter}`,
      "--test-reporter-destination=stdout",
    ]);
    run(node, [...quietNode, "--test", ...reporters, ...files], { cwd: root });
    break;
  }
  default:
    console.error(`Unknown task ${task}.`);
    process.exit(1);
}
