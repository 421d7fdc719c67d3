/** Ends a test run with one plain line of counts, and names what was skipped and why, so that no skip goes unseen. */
export default async function* summary(events) {
  const skipped = [];
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details?.type === "suite") continue;
    if (data.skip !== undefined) skipped.push(`${data.name}: ${data.skip || "no reason given"}`);
    else if (type === "test:pass") passed++;
    else failed++;
  }
  for (const line of skipped) yield `skipped: ${line}\n`;
  yield `${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}\n`;
}
