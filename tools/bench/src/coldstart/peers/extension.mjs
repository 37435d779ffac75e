#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0

// The least that an extension in Node.js does to hold configurations before the handler starts: it
// registers, fetches, serves on 2772's API, and asks for the first event. Without any package.
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";

const env = process.env;
const endpoint = new URL(env.AWS_ENDPOINT_URL_APPCONFIGDATA);
const api = `http://${env.AWS_LAMBDA_RUNTIME_API}/2020-01-01/extension`;

const hash = (text) => createHash("sha256").update(text).digest("hex");
const keyed = (key, text) => createHmac("sha256", key).update(text).digest();

// Signature version 4, with the headers that the two calls have.
function sign(method, path, query, body) {
    const now = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const scope = `${now.slice(0, 8)}/${env.AWS_REGION}/appconfig/aws4_request`;
    const signed = "host;x-amz-date;x-amz-security-token";
    const canonical = [method, path, query, `host:${endpoint.host}`, `x-amz-date:${now}`,
        `x-amz-security-token:${env.AWS_SESSION_TOKEN}`, "", signed, hash(body)].join("\n");
    const key = scope.split("/").reduce(keyed, `AWS4${env.AWS_SECRET_ACCESS_KEY}`);
    const signature = keyed(key, `AWS4-HMAC-SHA256\n${now}\n${scope}\n${hash(canonical)}`);
    return {
        "X-Amz-Date": now,
        "X-Amz-Security-Token": env.AWS_SESSION_TOKEN,
        Authorization: `AWS4-HMAC-SHA256 Credential=${env.AWS_ACCESS_KEY_ID}/${scope}, ` +
            `SignedHeaders=${signed}, Signature=${signature.toString("hex")}`,
    };
}

function ask(module, url, options, body = "") {
    return new Promise((resolve, reject) => {
        const request = module.request(url, options, (response) => {
            let text = "";
            response.on("data", (part) => { text += part; });
            response.on("end", () => (response.statusCode < 300
                ? resolve({ text, headers: response.headers })
                : reject(new Error(`${url}: ${response.statusCode}`))));
        });
        request.on("error", reject);
        request.end(body);
    });
}

const registered = await ask(http, `${api}/register`, {
    method: "POST",
    headers: { "Lambda-Extension-Name": "extension.mjs" },
}, '{"events":["INVOKE","SHUTDOWN"]}');
const id = registered.headers["lambda-extension-identifier"];

const agent = new https.Agent({ keepAlive: true, maxSockets: 3, ca: readFileSync(env.AWS_CA_BUNDLE) });
const call = (method, path, query = "", body = "") => ask(https,
    `${endpoint.origin}${path}${query && `?${query}`}`,
    { method, agent, headers: sign(method, path, query, body) }, body);

const held = new Map();
async function fetchOne(name) {
    const [application, environment, profile] = name.split(":");
    const session = await call("POST", "/configurationsessions", "", JSON.stringify({
        ApplicationIdentifier: application,
        EnvironmentIdentifier: environment,
        ConfigurationProfileIdentifier: profile,
    }));
    const token = encodeURIComponent(JSON.parse(session.text).InitialConfigurationToken);
    const answer = await call("GET", "/configuration", `configuration_token=${token}`);
    held.set(`/applications/${application}/environments/${environment}/configurations/${profile}`,
        answer.text);
}
await Promise.all(env.AWS_APPCONFIG_EXTENSION_PREFETCH_LIST.split(",").map(fetchOne));

const server = http.createServer((request, response) => response.end(held.get(request.url)));
await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
await ask(http, `${api}/event/next`, { headers: { "Lambda-Extension-Identifier": id } });
