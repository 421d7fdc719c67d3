/**
 * Which heads are better off when their sinks are damped, found by trying each alone (ACT, arXiv 2406.15765). Many profit
 * and some lose. What is compared is the loss of wanted tokens, not how many answers are right, and a head must gain on
 * both halves of the texts: among so many heads some gain by chance.
 */

/** The mean gain on each half of the samples, every other one, of which there are two or more. */
function gains(before: readonly number[], after: readonly number[]): number[] {
  const half = (which: number) => {
    const some = before.flatMap((loss, i) => (i % 2 === which ? [loss - after[i]] : []));
    return some.reduce((a, b) => a + b, 0) / some.length;
  };
  return [half(0), half(1)];
}

/**
 * The heads of each layer, among `candidates`, that gain alone; none where they do not gain together. `lossesOf` tells
 * the loss of each sample where these heads damp, the same samples in the same order.
 */
export async function profitingHeads(
  candidates: readonly (readonly number[])[],
  lossesOf: (heads: readonly (readonly number[])[]) => Promise<readonly number[]>,
): Promise<number[][]> {
  const none = () => candidates.map((): number[] => []);
  const before = await lossesOf(none());
  const isBetter = async (heads: readonly (readonly number[])[]) =>
    gains(before, await lossesOf(heads)).every((gain) => gain > 0);
  const found = none();
  for (const [layer, heads] of candidates.entries()) {
    for (const head of heads) {
      const alone = none();
      alone[layer].push(head);
      if (await isBetter(alone)) found[layer].push(head);
    }
  }
  return found.some((heads) => heads.length > 0) && (await isBetter(found)) ? found : none();
}
