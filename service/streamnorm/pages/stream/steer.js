// The pointer on a trace: dragging zooms, with Shift or a finger it moves, a pinch zooms, a double click goes back.

/** The bindings for uPlot; `scene` is a trace with the window on it. */
export function steer(scene) {
  return {
    mousedown: (_chart, _over, own) => (event) => (event.shiftKey ? null : own(event)),
    dblclick: () => () => {
      scene.window.live();
      return null;
    },
  };
}

/** What uPlot has no binding for, once the chart is there. */
export function attach(scene, chart) {
  const { over } = chart;
  let from = null;
  over.addEventListener("pointerdown", (event) => {
    if (!event.shiftKey && event.pointerType !== "touch") return;
    from = event.clientX;
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", (event) => {
    if (from === null) return;
    scene.window.pan(scene.trace.timeline, (from - event.clientX) / over.clientWidth);
    from = event.clientX;
  });
  for (const end of ["pointerup", "pointercancel"]) over.addEventListener(end, () => { from = null; });
  over.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const at = chart.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
    scene.window.zoom(scene.trace.timeline, Math.exp(event.deltaY / 200), at);
  }, { passive: false });
}
