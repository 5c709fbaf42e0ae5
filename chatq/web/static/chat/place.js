/** Where one is in a conversation: what one reads stays where it is, whatever comes above, below, or in between. */

/** So near the end counts as at the end. */
const NEAR = 48;

/** The part of the page that scrolls. */
export class Place {
  /** @type {() => void} Called when another part may be seen than before. */
  onMoved = () => {};
  /** Whether the end of the list is where the next thing will be, so that who is there wants to stay there. */
  sticks = true;
  #atEnd = true;

  /** @param {HTMLElement} scroll @param {HTMLElement} list */
  constructor(scroll, list) {
    this.scroll = scroll;
    this.list = list;
    scroll.addEventListener("scroll", () => {
      this.#look();
      this.onMoved();
    });
    // The window, or the field below, has another height; a text above has another width.
    const sizes = new ResizeObserver(() => {
      if (this.atEnd) this.toEnd();
      this.onMoved();
    });
    sizes.observe(scroll);
    sizes.observe(list);
  }

  get atEnd() {
    return this.sticks && this.#atEnd;
  }

  /** How far there is to scroll up, and down. */
  get above() {
    return this.scroll.scrollTop;
  }

  get below() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight;
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.#atEnd = true;
  }

  /** @param {HTMLElement} element */
  toTop(element) {
    this.scroll.scrollTop += this.#offset(element) - NEAR;
    this.#look();
  }

  /** Change the list. Who is at its end stays there; for others the first line that they see stays where it is. */
  keep(change) {
    const held = this.atEnd ? undefined : this.#firstSeen();
    const before = held && this.#offset(held);
    change();
    if (held === undefined) this.toEnd();
    else if (held.isConnected) this.scroll.scrollTop += this.#offset(held) - /** @type {number} */ (before);
    this.#look();
  }

  /** The last element of the list of which something is seen. @returns {Element | undefined} */
  lastSeen() {
    const bottom = this.scroll.getBoundingClientRect().bottom;
    return this.#search((element) => element.getBoundingClientRect().top < bottom - 8, -1);
  }

  #firstSeen() {
    const top = this.scroll.getBoundingClientRect().top;
    return this.#search((element) => element.getBoundingClientRect().bottom > top, 0);
  }

  /** By halves: where the first that fits begins (or, at -1, the last that does ends). */
  #search(fits, shift) {
    const children = this.list.children;
    let [low, high] = [0, children.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (fits(children[middle]) === (shift === 0)) high = middle;
      else low = middle + 1;
    }
    return children[low + shift];
  }

  #offset(element) {
    return element.getBoundingClientRect().top - this.scroll.getBoundingClientRect().top;
  }

  #look() {
    this.#atEnd = this.below < NEAR;
  }
}
