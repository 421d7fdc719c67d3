/** A real VS Code workbench with the packed extension in it, driven through its page like a user would. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type FrameLocator, type Page } from "playwright-core";
import type { Workbench as Installed } from "./workbench-install.ts";

export interface WorkbenchOptions {
  readonly installed: Installed;
  readonly vsix: string;
  /** The workspace, copied before it is opened: several folders make a multi-root workspace. */
  readonly folders: readonly string[];
  readonly settings?: Record<string, unknown>;
  /** Other extensions to install beside ours. */
  readonly others?: readonly string[];
  /** Whether the editor asks for trust; without it every workspace is trusted. */
  readonly asksForTrust?: boolean;
  /** Whether editor and browser run where there is no network at all, in a namespace of their own. */
  readonly isOffline?: boolean;
}

const BROWSER_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const QUIET_SETTINGS = {
  "workbench.startupEditor": "none",
  "telemetry.telemetryLevel": "off",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.commandCenter.enabled": false,
  "git.openRepositoryInParentFolders": "never",
  "files.autoSave": "off",
};
export const followsSystemColours = {
  "window.autoDetectColorScheme": true,
  "window.autoDetectHighContrast": true,
  "workbench.preferredDarkColorTheme": "Default Dark Modern",
  "workbench.preferredLightColorTheme": "Default Light Modern",
  "workbench.preferredHighContrastColorTheme": "Default High Contrast",
};
const START_LIMIT_MS = 120_000;
/** How long the page may take for anything. Two cores shared with others are slow at times. */
const PAGE_LIMIT_MS = 40_000;

export class Workbench {
  /** Where the copies of the folders lie, in the order given. */
  readonly folders: readonly string[];
  readonly page: Page;
  readonly #home: string;
  readonly #server: ChildProcess;
  readonly #browser: Browser;
  readonly #url: string;

  private constructor(parts: {
    folders: string[];
    page: Page;
    home: string;
    server: ChildProcess;
    browser: Browser;
    url: string;
  }) {
    this.folders = parts.folders;
    this.page = parts.page;
    this.#home = parts.home;
    this.#server = parts.server;
    this.#browser = parts.browser;
    this.#url = parts.url;
  }

  static async start(options: WorkbenchOptions): Promise<Workbench> {
    const home = mkdtempSync(join(tmpdir(), "longsight-e2e-"));
    const folders = options.folders.map((folder) => {
      const copy = join(home, "work", folder.split("/").at(-1)!);
      cpSync(folder, copy, { recursive: true });
      return copy;
    });
    const dataDir = join(home, "data");
    // The server counts as a machine of its own, with settings of its own for what only a machine may set.
    for (const place of ["User", "Machine"]) {
      mkdirSync(join(dataDir, place), { recursive: true });
      const settings = place === "User" ? { ...QUIET_SETTINGS, ...options.settings } : (options.settings ?? {});
      writeFileSync(join(dataDir, place, "settings.json"), JSON.stringify(settings));
    }
    const { node, script, chromium: executablePath } = options.installed;
    const common = ["--user-data-dir", dataDir, "--extensions-dir", join(home, "extensions")];
    // Their own HOME: the server writes into it even when told not to.
    const env = {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, ".config"),
      XDG_DATA_HOME: join(home, ".local"),
    };
    for (const vsix of [options.vsix, ...(options.others ?? [])]) {
      execFileSync(node, [script, ...common, "--install-extension", vsix, "--force"], { env, stdio: "ignore" });
    }
    const port = await freePort();
    const start = [
      ...[node, script, ...common, "--bind-addr", `127.0.0.1:${port}`, "--auth", "none"],
      ...["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"],
      ...(options.asksForTrust ? [] : ["--disable-workspace-trust"]),
    ];
    const [program, ...args] = options.isOffline ? withoutNetwork(start) : start;
    const server = spawn(program, args, { env, stdio: "ignore", detached: true });
    // A test that is ended from outside leaves no server behind.
    process.once("exit", () => endGroup(server));
    const browser = await chromium.launch({
      executablePath: options.isOffline ? besideServer(home, server, executablePath) : executablePath,
      args: BROWSER_ARGS,
    });
    try {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      await context.grantPermissions(["clipboard-read", "clipboard-write"]);
      const page = await context.newPage();
      page.setDefaultTimeout(PAGE_LIMIT_MS);
      const url = `http://127.0.0.1:${port}/?${workspaceQuery(home, folders)}`;
      const workbench = new Workbench({ folders, page, home, server, browser, url });
      await workbench.reload();
      return workbench;
    } catch (error) {
      await browser.close();
      endGroup(server);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#browser.close();
    endGroup(this.#server);
    await new Promise((resolve) => setTimeout(resolve, 500));
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }

  /** Loads the page anew: the same window, as after "Reload Window". */
  async reload(page = this.page): Promise<void> {
    // Where the server lies in a namespace of its own, only the browser can ask whether it answers.
    const limitMs = performance.now() + START_LIMIT_MS;
    for (;;) {
      try {
        await page.goto(this.#url, { timeout: START_LIMIT_MS });
        break;
      } catch (error) {
        if (!/ERR_CONNECTION_REFUSED/.test(String(error)) || performance.now() > limitMs) throw error;
        await page.waitForTimeout(300);
      }
    }
    await page.locator(".monaco-workbench .part.statusbar").waitFor({ timeout: START_LIMIT_MS });
    await page.locator(".statusbar-item", { hasText: "Longsight" }).waitFor({ timeout: START_LIMIT_MS });
  }

  /** A second window on the same workspace. */
  async secondWindow(): Promise<Page> {
    const page = await this.page.context().newPage();
    page.setDefaultTimeout(PAGE_LIMIT_MS);
    await this.reload(page);
    return page;
  }

  /** Has the system prefer these colours; the editor follows, where `followsSystemColours` is among its settings. */
  async preferColours(scheme: "dark" | "light" | "contrast"): Promise<void> {
    const isContrast = scheme === "contrast";
    const colorScheme = scheme === "light" ? "light" : "dark";
    await this.page.emulateMedia({ colorScheme, forcedColors: isContrast ? "active" : "none" });
    const theme = { dark: ".vs-dark", light: ".vs", contrast: ".hc-black" }[scheme];
    await this.page.locator(`.monaco-workbench${theme}`).waitFor();
    // The panels learn of it a moment later.
    await this.page.waitForTimeout(1500);
  }

  /** Runs a command by its title in the palette. One that asks for something leaves the box open. */
  async command(title: string, asks = false): Promise<void> {
    await this.#pick("F1", `>${title}`);
    if (!asks) await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
  }

  async openFile(name: string): Promise<void> {
    await this.#pick("Control+P", name);
    await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
    await this.page.locator(`.monaco-editor[data-uri$="/${name}"]`).first().waitFor();
  }

  /** Asks in the editor's own chat, which it opens. */
  async askInChat(question: string): Promise<void> {
    await this.command("Chat: Open Chat (Ask)");
    await this.page.locator(".interactive-session .interactive-input-part .monaco-editor").first().waitFor();
    await this.page.keyboard.type(question);
    await this.page.waitForTimeout(500);
    await this.page.keyboard.press("Escape");
    await this.page.keyboard.press("Enter");
  }

  async openNotebook(name: string): Promise<void> {
    await this.#pick("Control+P", name);
    await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
    await this.page.locator(".notebookOverlay .code-cell-row").first().waitFor();
  }

  /** Puts the cursor at the end of a code cell of the open notebook, counted from 1. */
  async clickCell(cell: number): Promise<void> {
    const editor = this.page.locator(".notebookOverlay .code-cell-row .monaco-editor").nth(cell - 1);
    await editor.locator(".view-lines").click();
    await this.page.keyboard.press("Control+End");
  }

  /** Puts the cursor at a line and column, both from 1. */
  async goTo(line: number, column: number): Promise<void> {
    await this.#pick("Control+G", `:${line}:${column}`, false);
    await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
  }

  /** Opens the box with a key, enters a text and takes what it finds; anew where a panel has taken the focus and closed it. */
  async #pick(key: string, text: string, waitForRow = true): Promise<void> {
    const input = this.page.locator(".quick-input-widget input[type=text]");
    const row = this.page.locator(".quick-input-list .monaco-list-row").first();
    for (let tries = 0; tries < 6; tries++) {
      await this.page.keyboard.press(key);
      const isEntered = await input.fill(text, { timeout: 5000 }).then(
        () => true,
        () => false,
      );
      if (!isEntered) continue;
      if (waitForRow) await row.waitFor({ timeout: 5000 }).catch(() => {});
      await this.page.waitForTimeout(300);
      if (!(await input.isVisible())) continue;
      await this.page.keyboard.press("Enter");
      return;
    }
    throw new Error(`${text} could not be entered.`);
  }

  /** The ghost text shown at the moment, its pieces joined; "" where there is none. */
  async ghostText(): Promise<string> {
    return (await this.page.locator(".ghost-text-decoration, .ghost-text").allTextContents())
      .join("")
      .replaceAll("\u00a0", " ");
  }

  /** Waits until ghost text is there, and returns it. */
  async waitForGhostText(): Promise<string> {
    await this.page.locator(".ghost-text-decoration").first().waitFor();
    return this.ghostText();
  }

  /** The text of the status bar item. */
  async status(): Promise<string> {
    return (await this.page.locator(".statusbar-item", { hasText: "Longsight" }).first().textContent()) ?? "";
  }

  /** Waits until the status bar item says that nothing is under way. */
  async waitUntilIndexed(): Promise<void> {
    await this.page.locator('.statusbar-item[aria-label*="up to date"]').waitFor();
  }

  /** The text of the focused editor as the editor has it, saved or not. */
  async editorText(): Promise<string> {
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.press("Control+C");
    return this.page.evaluate(() => navigator.clipboard.readText());
  }

  /** Where the status bar says the cursor is, and how much is selected. */
  async cursorPosition(): Promise<string> {
    return (await this.page.locator("#status\\.editor\\.selection").textContent()) ?? "";
  }

  /** Opens a view by its name in the activity bar. */
  async openView(name: string): Promise<void> {
    await this.page.locator(`.activitybar .action-item a[aria-label^="${name}"]`).click();
  }

  /** The inside of the webview whose title is shown at the moment. */
  webview(): FrameLocator {
    return this.page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
  }

  /** Leaves a picture of the page and the extension's log where a failure can be looked into. */
  async keepEvidence(name: string): Promise<void> {
    const base = join(tmpdir(), `longsight-e2e-last-${name.replaceAll(/\W+/g, "-")}`);
    await this.page.screenshot({ path: `${base}.png` });
    writeFileSync(`${base}.log`, this.log());
  }

  /** All that the extension has logged. */
  log(): string {
    const logs = join(this.#home, "data", "logs");
    if (!existsSync(logs)) return "";
    return readdirSync(logs, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith("Longsight.log"))
      .map((path) => readFileSync(join(logs, path), "utf8"))
      .join("");
  }
}

function workspaceQuery(home: string, folders: readonly string[]): string {
  if (folders.length === 1) return `folder=${encodeURIComponent(folders[0])}`;
  const file = join(home, "all.code-workspace");
  writeFileSync(file, JSON.stringify({ folders: folders.map((path) => ({ path })) }));
  return `workspace=${encodeURIComponent(file)}`;
}

/** Nothing but a loopback device of its own: a connection to anywhere else is impossible. */
const withoutNetwork = (command: readonly string[]) => [
  ...["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
  ...command,
];

/** Why `isOffline` is not possible on this machine, false where it is. */
export function cannotGoOffline(): string | false {
  const [program, ...args] = withoutNetwork(["true"]);
  return spawnSync(program, args).status === 0 ? false : "network namespaces cannot be made here";
}

/** A script that starts the browser in the network namespace of the server. */
function besideServer(home: string, { pid }: ChildProcess, executable: string): string {
  const script = join(home, "browser.sh");
  writeFileSync(script, `#!/bin/sh\nexec nsenter -t ${pid} -n ${executable} "$@"\n`, { mode: 0o755 });
  return script;
}

function endGroup(server: ChildProcess): void {
  try {
    if (server.pid) process.kill(-server.pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
