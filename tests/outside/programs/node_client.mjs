// What the official Node client sees of the local service: control plane, vectors, queries, namespaces, errors.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { Pinecone } = createRequire(process.env.NODE_CLIENT)("@pinecone-database/pinecone");
const client = new Pinecone({ apiKey: process.env.PINECONE_API_KEY, controllerHostUrl: process.env.PINECONE_CONTROLLER_HOST });
const spec = { serverless: { cloud: "aws", region: "us-east-1" } };

const made = await client.createIndex({ name: "node", dimension: 3, metric: "dotproduct", spec, waitUntilReady: true, tags: { team: "a" } });
assert.equal(made.status.ready, true);
assert.deepEqual((await client.listIndexes()).indexes.map((index) => index.name), ["node"]);
await assert.rejects(client.createIndex({ name: "node", dimension: 3, spec }), { name: "PineconeConflictError" });
await assert.rejects(client.describeIndex("absent"), { name: "PineconeNotFoundError" });
await client.configureIndex({ name: "node", deletionProtection: "enabled", tags: { team: "b" } });
const described = await client.describeIndex("node");
assert.deepEqual([described.dimension, described.metric, described.deletionProtection, described.tags], [3, "dotproduct", "enabled", { team: "b" }]);
await assert.rejects(client.deleteIndex("node"));

const index = client.index({ host: described.host }).namespace("ns");
const records = Array.from({ length: 150 }, (_, number) => ({
  id: `r${String(number).padStart(3, "0")}`,
  values: [number, 1, 0.5],
  metadata: { number, name: "第一", ok: number % 2 === 0, tags: ["x", "y"] },
}));
records[7].sparseValues = { indices: [1, 70000], values: [0.5, 0.25] };
await index.upsert({ records });

const fetched = (await index.fetch({ ids: ["r007", "absent"] })).records;
assert.deepEqual(Object.keys(fetched), ["r007"]);
assert.deepEqual(fetched.r007, records[7]);
const pages = [];
let token;
do {
  const page = await index.listPaginated({ limit: 60, paginationToken: token });
  pages.push(page.vectors.map((one) => one.id));
  token = page.pagination?.next;
} while (token);
assert.deepEqual(pages.map((page) => page.length), [60, 60, 30]);
assert.deepEqual(pages.flat(), records.map((record) => record.id));

const best = await index.query({ vector: [1, 0, 0], topK: 3, includeMetadata: true, includeValues: true, filter: { number: { $lt: 100 }, ok: { $eq: true } } });
assert.deepEqual(best.matches.map((match) => [match.id, match.score]), [["r098", 98], ["r096", 96], ["r094", 94]]);
assert.deepEqual(best.matches[0].metadata, records[98].metadata);
await index.update({ id: "r001", metadata: { extra: "e" } });
assert.deepEqual((await index.fetch({ ids: ["r001"] })).records.r001.metadata, { ...records[1].metadata, extra: "e" });
assert.equal(Object.keys((await index.fetchByMetadata({ filter: { number: { $in: [1, 2, 3] } } })).records).length, 3);
await index.deleteOne({ id: "r000" });
await index.deleteMany({ ids: ["r001", "r002"] });
const stats = await index.describeIndexStats();
assert.equal(stats.namespaces.ns.recordCount, 147);
assert.deepEqual((await index.listNamespaces()).namespaces.map((one) => one.name), ["ns"]);
await index.deleteAll();
assert.equal((await index.describeIndexStats()).totalRecordCount, 0);
await assert.rejects(index.upsert({ records: [{ id: "short", values: [1, 2] }] }), { name: "PineconeBadRequestError" });

const stranger = new Pinecone({ apiKey: "wrong", controllerHostUrl: process.env.PINECONE_CONTROLLER_HOST });
await assert.rejects(stranger.listIndexes(), { name: "PineconeAuthorizationError" });
await client.configureIndex({ name: "node", deletionProtection: "disabled" });
await client.deleteIndex("node");
assert.deepEqual((await client.listIndexes()).indexes, []);
console.log("all as expected");
