/** What is to be seen is done once for all that happens within one frame. */

/** A page that is hidden, or becomes so, is given no frames. */
const AT_THE_LATEST = 100;

/**
 * Return a function that has `call` called with the next frame, once, however often it is called before.
 * @param {() => void} call
 */
export function withNextFrame(call) {
  let [frame, timer] = [0, 0];
  const go = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    timer = 0;
    call();
  };
  return () => {
    if (timer) return;
    frame = requestAnimationFrame(go);
    timer = setTimeout(go, AT_THE_LATEST);
  };
}
