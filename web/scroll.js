// Scrolling that follows an answer without fighting the reader: whoever scrolls up stays there until they come back.

const NEAR = 40;

export class Follower {
  #view;
  #button;
  #isFollowing = true;
  #last = 0;

  constructor(view, button) {
    this.#view = view;
    this.#button = button;
    view.addEventListener("scroll", () => this.#moved(), { passive: true });
    button.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.grown()).observe(view);
  }

  get #rest() {
    return this.#view.scrollHeight - this.#view.clientHeight - this.#view.scrollTop;
  }

  #moved() {
    const top = this.#view.scrollTop;
    // Growing never moves the reader up: only a person does.
    if (top < this.#last - 1) this.#isFollowing = false;
    if (this.#rest < NEAR) this.#isFollowing = true;
    this.#last = top;
    this.#show();
  }

  #show() {
    this.#button.hidden = this.#isFollowing || this.#rest < NEAR;
  }

  /** The content may have grown. */
  grown() {
    if (this.#isFollowing) this.#view.scrollTop = this.#view.scrollHeight;
    this.#last = this.#view.scrollTop;
    this.#show();
  }

  toEnd() {
    this.#isFollowing = true;
    this.grown();
  }
}
