// SPDX-License-Identifier: Apache-2.0
// The AWS SDK for JavaScript as a program: reads a call a line, {"operation", "input"}, and answers
// each with {"answer"} or {"error"}. Its argument is the configuration of the client.
"use strict";

const readline = require("node:readline");
const sdk = require("@aws-sdk/client-appconfigdata");

const client = new sdk.AppConfigDataClient(JSON.parse(process.argv[2]));

/** Whether what the service enumerates has one of the values that the SDK knows. */
function isWithinModel(error) {
    const isOf = (values, value) => value === undefined || Object.values(values).includes(value);
    const parameters = Object.values(error.Details?.InvalidParameters ?? {});
    return isOf(sdk.BadRequestReason, error.Reason) && isOf(sdk.ResourceType, error.ResourceType) &&
        parameters.every((one) => isOf(sdk.InvalidParameterProblem, one.Problem));
}

function describe(error) {
    const { name, message, $fault, $metadata, Reason, Details, ResourceType, ReferencedBy } = error;
    const kind = sdk[name];
    return {
        name, message, fault: $fault, status: $metadata?.httpStatusCode,
        attempts: $metadata?.attempts, Reason, Details, ResourceType, ReferencedBy,
        is_modeled: kind !== undefined && error instanceof kind,
        is_within_model: isWithinModel(error),
        is_from_service: error instanceof sdk.AppConfigDataServiceException,
    };
}

async function call({ operation, input }) {
    try {
        const answer = await client.send(new sdk[operation + "Command"](input));
        const { $metadata, ...members } = answer;
        if (members.Configuration)
            members.Configuration = Buffer.from(members.Configuration).toString("base64");
        return { answer: members, status: $metadata.httpStatusCode, attempts: $metadata.attempts };
    } catch (error) {
        return { error: describe(error) };
    }
}

async function main() {
    for await (const line of readline.createInterface({ input: process.stdin }))
        process.stdout.write(JSON.stringify(await call(JSON.parse(line))) + "\n");
    client.destroy();
}

main();
