// A system of its own, written against types that were generated from /openapi.json.
//
// Struer publishes a job order; Herning sees it, subscribes, pulls and commits; and a refused event is told from others
// by its problem's type. What was seen is printed as JSON, one line.
import createClient from "openapi-fetch";
import type { components, paths } from "./kommunebro.js";

type Schemas = components["schemas"];
type Problem = Schemas["Problem"];

const url = wanted("KOMMUNEBRO_TO");
const struer = client(wanted("STRUER_TOKEN"));
const herning = client(wanted("HERNING_TOKEN"));
const TRIES = 100;

function wanted(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is missing`);
  return value;
}

function client(token: string) {
  return createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
}

function fail(problem: unknown): never {
  throw new Error(JSON.stringify(problem));
}

const order: Schemas["JobOrder"] = {
  jobOrderId: "typescript-1001",
  status: "open",
  company: { cvr: "93100018", name: "Vestjysk Staldinventar A/S", municipality: "0671" },
  title: "3 klejnsmede til staldinventar",
  occupation: { label: "Klejnsmed" },
  positions: 3,
  employmentTypes: ["ordinary"],
  workplace: { municipality: "0671", city: "Struer" },
  applyVia: "consultant",
  consultant: { name: "Jens Ove Ramskov", unit: "Jobcenter Struer", phone: "+45 00 00 11 04" },
  employerAgreed: "named",
  sharing: { scope: "alliances", alliances: ["vestalliancen"] },
  registeredAt: "2026-11-16T08:15:00+01:00",
};
const event: Schemas["JobOrderEvent"] = {
  specversion: "1.0",
  id: "typescript-1001-1",
  source: "urn:kommunebro:0671:typescript",
  type: "dk.kommunebro.job-order",
  subject: order.jobOrderId,
  time: "2026-11-16T08:15:00+01:00",
  dataschema: "urn:kommunebro:schema:job-order:1.0",
  data: order,
};

function publish(body: Schemas["Event"]) {
  return struer.POST("/v1/events", { body, headers: { "Content-Type": "application/cloudevents+json" } });
}

async function seenByHerning(): Promise<Schemas["JobOrderItem"]> {
  for (let left = TRIES; left > 0; left--) {
    const { data, error } = await herning.GET("/v1/job-orders", { params: { query: { owner: "0671", status: "open" } } });
    if (error) fail(error);
    const found = data.jobOrders.find((item) => item.jobOrderId === order.jobOrderId);
    if (found) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("Herning does not see the order.");
}

async function pulledAndCommitted(): Promise<{ pulled: Schemas["ForwardedEvent"][]; left: number }> {
  const made = await herning.POST("/v1/subscriptions", {
    body: { name: "Klejnsmede", types: ["dk.kommunebro.job-order"], filter: { owner: ["0671"] }, start: "earliest" },
  });
  if (made.error) fail(made.error);
  const path = { subscription_id: made.data.id };
  const page = await herning.GET("/v1/subscriptions/{subscription_id}/events", { params: { path, query: { wait: 5 } } });
  if (page.error) fail(page.error);
  const moved = await herning.POST("/v1/subscriptions/{subscription_id}/cursor", {
    params: { path },
    body: { cursor: page.data.cursor },
  });
  if (moved.error) fail(moved.error);
  return { pulled: page.data.events, left: moved.data.lag.events };
}

/** What a client does about a refusal: it decides by `type`, and by `retryable`. */
function advice(problem: Problem): string {
  switch (problem.type) {
    case "/problems/schema-violation":
      return `mend ${problem.errors?.map((one) => one.pointer).join(", ")}`;
    case "/problems/conflict":
      return "give it a new id";
    default:
      return problem.retryable ? "try again" : "ask somebody";
  }
}

function adviceFor(answer: { error?: unknown }): string {
  if (!answer.error) throw new Error("It was not refused.");
  return advice(answer.error as Problem);
}

const first = await publish(event);
if (first.error) fail(first.error);
const again = await publish(event);
if (again.error) fail(again.error);
const seen = await seenByHerning();
const { pulled, left } = await pulledAndCommitted();
const [told] = pulled;
const bad = await publish({ ...event, id: "typescript-1002-1", data: { ...order, positions: 0 } });
const clash = await publish({ ...event, data: { ...order, positions: 4 } });
console.log(
  JSON.stringify({
    published: first.response.status,
    again: again.response.status,
    seen: seen.data.title,
    // `type` tells which of the five it is, so that `data` is a job order's.
    pulled: told?.type === "dk.kommunebro.job-order" ? [told.alliance, told.data.jobOrderId, told.data.positions] : [],
    left,
    refused: adviceFor(bad),
    conflict: adviceFor(clash),
  }),
);
