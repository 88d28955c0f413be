// A sheet: a strand of text drawn as Markdown while it grows. Blocks that nothing can change any more are drawn once;
// only the last one is drawn again, at most once a frame and for at most a quarter of the time, however long it is.

import { blocks, finalBlocks } from "./markdown.js";
import { blockNode, writtenNode } from "./render.js";

const REST = 3;
const LONGEST_REST_MS = 1000;

/** Which strand a sheet on the page shows. */
const strands = new WeakMap();
export const strandOf = (node) => strands.get(node);

export class Sheet {
  #strand;
  #from = 0;
  #tail = [];
  #frame = 0;
  #nextMs = 0;
  #isWritten = false;
  #changed;
  #settled;

  /** `changed` hears of each drawing, `settled` gets the text of each final block. */
  constructor(root, strand, { changed = () => {}, settled = () => {} } = {}) {
    this.root = root;
    this.#strand = strand;
    this.#changed = changed;
    this.#settled = settled;
    strands.set(root, strand);
  }

  /** Draws soon: with the next frame, or when the page has rested long enough from the last drawing. */
  grow() {
    this.#frame ||= requestAnimationFrame((nowMs) => {
      this.#frame = 0;
      if (nowMs < this.#nextMs) this.grow();
      else this.#draw(false);
    });
  }

  /** Draws all of it, now. */
  finish() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#draw(true);
  }

  /** Shows the text as it was written, or as it is meant. */
  showWritten(isWritten) {
    this.#isWritten = isWritten;
    this.#from = 0;
    this.#tail = [];
    this.root.replaceChildren();
    this.#draw(true, () => {});
  }

  #draw(isWhole, settled = this.#settled) {
    const startMs = performance.now();
    const focused = this.root.contains(document.activeElement) ? document.activeElement.dataset.word : undefined;
    if (this.#isWritten) this.root.replaceChildren(writtenNode(this.#strand));
    else this.#drawBlocks(isWhole, settled);
    if (focused !== undefined && !this.root.contains(document.activeElement)) {
      const again = this.root.querySelector(`[data-word="${focused}"]`);
      again?.setAttribute("tabindex", "0");
      again?.focus({ preventScroll: true });
    }
    this.#changed();
    const endMs = performance.now();
    this.#nextMs = endMs + Math.min(LONGEST_REST_MS, REST * (endMs - startMs));
  }

  #drawBlocks(isWhole, settled) {
    const { text, known } = this.#strand;
    const list = blocks(text, this.#from);
    if (list.length === 0) return;
    const drawable = finalBlocks(text, list);
    const nodes = list.map((block) => blockNode(block, this.#strand));
    for (const node of this.#tail) node.remove();
    this.root.append(...nodes);
    let count = isWhole ? list.length : drawable;
    while (!isWhole && count > 0 && list[count - 1].to > known) count -= 1;
    nodes.slice(0, count).forEach((node) => settled(node.textContent));
    this.#tail = nodes.slice(count);
    this.#from = count < list.length ? list[count].from : text.length;
  }
}
