// SPDX-License-Identifier: Apache-2.0
// fetch of Node. README.md says what a client does.
"use strict";
const base = process.argv[2];
const lines = require("readline").createInterface({ input: process.stdin });

async function main() {
  for await (const line of lines) {
    const [method, etag, ...names] = line.split("\t");
    const [application, environment, profile] = names.map(encodeURIComponent);
    const response = await fetch(
      `${base}/applications/${application}/environments/${environment}/configurations/${profile}`,
      { method, headers: etag ? { "If-None-Match": etag } : {} });
    const body = Buffer.from(await response.arrayBuffer()).toString("base64");
    const header = (name) => response.headers.get(name) ?? "";
    const row = [response.status, header("etag"), header("content-type"), header("content-length")];
    console.log([...row, body].join("\t"));
  }
}

main();
