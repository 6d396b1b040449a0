// Prints what Node's own EventSource receives, one JSON object a line: node --experimental-eventsource event_source.mjs URL
//
// An EventSource takes no header. Node's takes a dispatcher, the part that sends its requests; the token is set there.
// The dispatcher that all requests of a process share is there from the first request on.
await fetch("data:,");
const shared = globalThis[Symbol.for("undici.globalDispatcher.1")];
const authorization = `Bearer ${process.env.TOKEN}`;
const dispatcher = {
  dispatch: (options, handler) =>
    shared.dispatch({ ...options, headers: { ...options.headers, authorization } }, handler),
};

// While an EventSource waits before it connects again, it does not keep a Node process alive.
setInterval(() => {}, 1000);

const say = (what) => console.log(JSON.stringify(what));
const source = new EventSource(process.argv[2], { node: { dispatcher } });
source.onopen = () => say({ open: true });
source.onerror = () => say({ error: true, closed: source.readyState === EventSource.CLOSED });
source.addEventListener("dk.kommunebro.job-order", ({ data, lastEventId }) => say({ data, lastEventId }));
