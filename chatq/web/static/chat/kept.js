/** What a user has written and no server has yet: kept in this window, over a reload and a new sign-in, for them alone. */

/** So many characters are kept of each kind; a browser gives a few millions to all. */
const LIMIT = 1_000_000;

/**
 * Things by key. All are there as long as the page is; the window keeps as many of the newest as there is room for.
 * @template T
 */
export class Kept {
  /** @type {Map<string, T>} */
  #things;
  #name;

  /** @param {string} kind @param {string} user */
  constructor(kind, user) {
    this.#name = `chatq.${kind}.${user}`;
    this.#things = new Map(read(this.#name));
  }

  /** @returns {[string, T][]} the oldest first */
  entries() {
    return [...this.#things];
  }

  /** @param {string} key @returns {T | undefined} */
  get(key) {
    return this.#things.get(key);
  }

  /** @param {string} key @param {T} thing */
  set(key, thing) {
    this.#things.set(key, thing);
    this.#write();
  }

  /** @param {string} key */
  delete(key) {
    if (this.#things.delete(key)) this.#write();
  }

  #write() {
    const things = this.entries();
    let text = JSON.stringify(things);
    while (text.length > LIMIT) {
      things.shift();
      text = JSON.stringify(things);
    }
    try {
      if (things.length) sessionStorage.setItem(this.#name, text);
      else sessionStorage.removeItem(this.#name);
    } catch (error) {
      passOver(error);
    }
  }
}

/** @param {string} name @returns {[string, any][]} */
function read(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? "[]");
  } catch (error) {
    return passOver(error) ?? [];
  }
}

/** A browser may have no room, or keep nothing for anybody: then all is as long-lived as the page. @param {any} error */
function passOver(error) {
  if (!(error instanceof DOMException || error instanceof SyntaxError)) throw error;
}
