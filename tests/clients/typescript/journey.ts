// A job order's way from Struer to Herning, with types that were made from /openapi.json.
import { readFileSync } from "node:fs";
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./kommunebro.js";

type JobOrderEvent = components["schemas"]["JobOrderEvent"];
type Problem = components["schemas"]["Problem"];

const [url, struersToken, herningsToken, file] = process.argv.slice(2) as [string, string, string, string];

function client(token: string) {
  const bearer: Middleware = {
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${token}`);
      return request;
    },
  };
  const made = createClient<paths>({ baseUrl: url });
  made.use(bearer);
  return made;
}

function given<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const struer = client(struersToken);
const herning = client(herningsToken);
const kind = { "Content-Type": "application/cloudevents+json" };

const wish = { name: "Jobordrer", types: ["dk.kommunebro.job-order" as const], start: "latest" };
const subscription = given(await herning.POST("/v1/subscriptions", { body: wish }));
const path = { subscription_id: subscription.id };

const order = JSON.parse(readFileSync(file, "utf8")) as JobOrderEvent;
const published = await struer.POST("/v1/events", { body: order, headers: kind });
console.log("published", published.response.status);

const pull = { params: { path, query: { limit: 10, wait: 20 } } };
const pulled = given(await herning.GET("/v1/subscriptions/{subscription_id}/events", pull));
const received = pulled.events[0];
if (received?.type !== "dk.kommunebro.job-order") throw new Error("no job order came");
console.log("received", received.subject, "in", received.alliance);
console.log("title", received.data.title);

const committed = { params: { path }, body: { cursor: pulled.cursor } };
const after = given(await herning.POST("/v1/subscriptions/{subscription_id}/cursor", committed));
console.log("left", after.lag.events);

const asked = { params: { query: { owner: "0671", status: "open" as const } } };
const seen = given(await herning.GET("/v1/job-orders", asked));
console.log("listed", seen.jobOrders.some((one) => one.jobOrderId === order.subject));

const bad = { ...order, id: `${order.id}-again`, data: { ...order.data, positions: 0 } };
const refused = await struer.POST("/v1/events", { body: bad, headers: kind });
const problem: Problem | undefined = refused.error;
console.log("refused", refused.response.status, problem?.type, problem?.errors?.[0]?.pointer);
