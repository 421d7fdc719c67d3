/** When an index is made anew: in the background, one at a time, after so much has come or gone that it fits badly. */

/** By the size it was made with. */
const GROWTH = 2;
const LOSS = 0.25;

export class Rebuild {
  readonly #minBlocks: number;
  readonly #nBlocks: () => number;
  readonly #make: () => Promise<void>;
  #nMade = 0;
  #nRemoved = 0;
  #running: Promise<void> | undefined;

  /** `make` is called from `minBlocks` blocks on. */
  constructor(minBlocks: number, nBlocks: () => number, make: () => Promise<void>) {
    this.#minBlocks = minBlocks;
    this.#nBlocks = nBlocks;
    this.#make = make;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Settles when nothing is being made. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** To be called when blocks have come, or so many have gone. */
  changed(nRemoved = 0): void {
    this.#nRemoved += nRemoved;
    const n = this.#nBlocks();
    if (this.#running || n < this.#minBlocks) return;
    if (this.#nMade > 0 && n < GROWTH * this.#nMade && this.#nRemoved < LOSS * this.#nMade) return;
    this.#running = this.#run(n).finally(() => {
      this.#running = undefined;
      // Much may have come meanwhile.
      this.changed();
    });
  }

  async #run(nBlocks: number): Promise<void> {
    this.#nRemoved = 0;
    await this.#make();
    this.#nMade = nBlocks;
  }
}
