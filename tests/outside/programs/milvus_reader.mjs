// Reads a collection with the official Node SDK and says of each record its key, its vector and its metadata.
import { createRequire } from "node:module";

const require = createRequire(process.env.NODE_CLIENT);
const { MilvusClient, ConsistencyLevelEnum } = require("@zilliz/milvus2-sdk-node");

const client = new MilvusClient({ address: process.env.ADDRESS, token: process.env.TOKEN });
await client.connectPromise;
const name = process.env.COLLECTION;
const described = await client.describeCollection({ collection_name: name });
const found = await client.query({
  collection_name: name,
  expr: 'id != ""',
  output_fields: ["*"],
  limit: 1000,
  consistency_level: ConsistencyLevelEnum.Strong,
});
if (found.status.error_code !== "Success") throw new Error(JSON.stringify(found.status));
console.log(JSON.stringify({ fields: described.schema.fields.map((field) => field.name), rows: found.data }));
await client.closeConnection();
