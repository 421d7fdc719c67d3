/**
 * How the surfaces look in a dark, a light and a high-contrast theme: what is written can be read. With
 * LONGSIGHT_SCREENSHOTS=1 pictures of them are left in media/screens.
 */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { packageRoot } from "../../../engine/paths.ts";
import type { Workbench } from "../workbench.ts";

const SCHEMES = ["dark", "light", "contrast"] as const;
/** What is the editor's own is pictured in these only. */
const PICTURED = ["light", "dark"] as const;
/** WCAG AA for text of normal size. */
const MIN_CONTRAST = 4.5;

export async function appearance(context: TestContext, workbench: Workbench): Promise<void> {
  const { page } = workbench;
  await workbench.waitUntilIndexed();
  await workbench.openView("Longsight");
  await workbench.webview().locator("textarea").fill("How often can a loan be renewed?");
  await workbench.webview().locator("textarea").press("Enter");
  await workbench.webview().locator('article[data-state="done"]').waitFor();
  await workbench.webview().locator("details.why summary").click();
  // The repository's memory is encoded while nothing else is asked of the engine.
  await page.waitForTimeout(3000);
  await workbench.openFile("practice.py");
  await workbench.goTo(10, 5);
  await page.keyboard.type("return self.start_day + LOAN_D", { delay: 40 });
  await workbench.waitForGhostText();

  for (const name of SCHEMES) {
    await context.test(`${name}: the chat panel can be read`, async () => {
      await workbench.preferColours(name);
      await shoot(workbench, `chat-${name}`);
      await assertReadable(workbench, [
        ".question p",
        ".answer p",
        ".source .file",
        ".path",
        "footer span",
        "textarea",
      ]);
    });
  }

  // Hides the side bar, and the chat panel with it.
  await page.keyboard.press("Control+B");
  await workbench.webview().locator("textarea").waitFor({ state: "hidden" });
  await workbench.command("Longsight: Show Diagnostics");
  await workbench.webview().locator("canvas.strip").waitFor();
  for (const name of SCHEMES) {
    await context.test(`${name}: the diagnostics panel can be read`, async () => {
      await workbench.preferColours(name);
      await shoot(workbench, `diagnostics-${name}`);
      await workbench.webview().locator(".engine").scrollIntoViewIfNeeded();
      await shoot(workbench, `memory-${name}`);
      await workbench.webview().locator(".tiles").scrollIntoViewIfNeeded();
      await assertReadable(workbench, [
        ".tile .big",
        ".tile .note",
        ".requests th",
        ".requests td",
        ".legend li",
        "dt",
        "dd",
      ]);
    });
  }

  for (const name of PICTURED) {
    await context.test(`${name}: the status bar's menu offers what can be done`, async () => {
      await workbench.preferColours(name);
      await page.locator(".statusbar-item", { hasText: "Longsight" }).first().click();
      await page.locator(".quick-input-list .monaco-list-row", { hasText: "Choose what writes answers" }).waitFor();
      await page.waitForTimeout(1500);
      await shoot(workbench, `menu-${name}`);
      await page.keyboard.press("Escape");
    });

    await context.test(`${name}: what can be downloaded is a list with sizes and licences`, async () => {
      await workbench.command("Longsight: Download a Model...", true);
      await page.locator(".quick-input-list .monaco-list-row", { hasText: "Apache-2.0" }).first().waitFor();
      await page.waitForTimeout(500);
      await shoot(workbench, `models-${name}`);
      await page.keyboard.press("Escape");
    });
  }

  await context.test("the walkthrough", async () => {
    await workbench.command("Welcome: Open Walkthrough...", true);
    await page.locator(".quick-input-widget input[type=text]").fill("Get started with Longsight");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: "Get started with Longsight" }).first().click();
    await page.locator(".gettingStartedContainer .getting-started-step").nth(1).click();
    await shootAll(workbench, "walkthrough");
  });

  await context.test(
    "the participant in the editor's own chat looks at the whole folder, whatever file is open",
    async () => {
      await workbench.openFile("practice.py");
      await workbench.askInChat("@longsight How often can a loan be renewed?");
      await page.locator(".interactive-response").last().locator("text=/renewed too often/").waitFor();
      await shootAll(workbench, "participant");
    },
  );
}

/** The same in every scheme of the pictures. */
async function shootAll(workbench: Workbench, surface: string): Promise<void> {
  for (const name of PICTURED) {
    await workbench.preferColours(name);
    await shoot(workbench, `${surface}-${name}`);
  }
}

async function shoot(workbench: Workbench, name: string): Promise<void> {
  if (!process.env.LONGSIGHT_SCREENSHOTS) return;
  const folder = join(packageRoot, "media", "screens");
  mkdirSync(folder, { recursive: true });
  await workbench.page.screenshot({ path: join(folder, `${name}.png`) });
}

async function assertReadable(workbench: Workbench, selectors: readonly string[]): Promise<void> {
  for (const selector of selectors) {
    let contrast = Number.NaN;
    // What the panel draws anew just then has no colours any more.
    while (Number.isNaN(contrast)) contrast = await workbench.webview().locator(selector).first().evaluate(contrastOf);
    assert.ok(contrast >= MIN_CONTRAST, `${selector} has a contrast of ${contrast.toFixed(2)}`);
  }
}

/** Runs in the page: the contrast of an element's text with what is behind it, by WCAG's formula; NaN for one that is gone. */
function contrastOf(element: Element): number {
  if (!element.isConnected) return Number.NaN;
  type Colour = [number, number, number, number];
  const parse = (text: string): Colour => {
    const [red = 0, green = 0, blue = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number);
    return [red, green, blue, alpha];
  };
  const over = ([r, g, b, a]: Colour, [r2, g2, b2]: Colour): Colour => [
    r * a + r2 * (1 - a),
    g * a + g2 * (1 - a),
    b * a + b2 * (1 - a),
    1,
  ];
  const layers: Colour[] = [];
  for (
    let node: Element | null = element;
    node;
    node = node.parentElement ?? ((node.getRootNode() as ShadowRoot).host || null)
  ) {
    layers.push(parse(getComputedStyle(node).backgroundColor));
  }
  const root = getComputedStyle(document.documentElement);
  const base =
    root.getPropertyValue("--vscode-sideBar-background") || root.getPropertyValue("--vscode-editor-background");
  const probe = document.createElement("i");
  probe.style.color = base || "white";
  // Where the system forces colours, it would force this one too.
  probe.style.setProperty("forced-color-adjust", "none");
  document.body.append(probe);
  const behind = layers.reduceRight<Colour>((below, layer) => over(layer, below), parse(getComputedStyle(probe).color));
  probe.remove();
  const text = over(parse(getComputedStyle(element).color), behind);
  const luminance = (colour: Colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [light, dark] = [luminance(text), luminance(behind)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}
