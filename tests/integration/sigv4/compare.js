// SPDX-License-Identifier: Apache-2.0
// Lets three signers that share no code sign the same requests: each signature must be the same.
//
// The peers sign as for every service but S3, which is how AppConfig Data is signed: dots and empty
// segments of a path are resolved and its escapes escaped again (uriEscapePath), and there is no
// header with the body's hash (applyChecksum off; it may be there, but the daemon sends none).
"use strict";

const childProcess = require("node:child_process");
const path = require("node:path");
const util = require("node:util");
const { makeCases, toLine } = require("./cases.js");

const USAGE = `Usage: compare [--seed N] [--count N] [--python PROGRAM] SIGNER
Compares SIGNER, which is sign.c built, with @smithy/signature-v4 and botocore.
Exit status: 0 all agree, 1 they do not, 2 the comparison failed, 77 skipped.`;
const REPORTED_MAX = 3;

function fail(status, text) {
    console.log(text);
    process.exit(status);
}

function readArguments() {
    try {
        const { values, positionals } = util.parseArgs({
            allowPositionals: true,
            options: {
                seed: { type: "string", default: "2772" },
                count: { type: "string", default: "14000" },
                python: { type: "string", default: "python3" },
                help: { type: "boolean" },
            },
        });
        if (values.help)
            fail(0, USAGE);
        const [seed, count] = [Number(values.seed), Number(values.count)];
        const isRight = Number.isInteger(seed) && Number.isInteger(count) && count > 0;
        if (positionals.length === 1 && isRight)
            return { seed, count, python: values.python, signer: positionals[0] };
    } catch (error) {
        console.log(error.message);
    }
    return fail(2, USAGE);
}

/** Signatures by a program that reads and writes lines of hexadecimal fields. */
function signWith(program, lines) {
    const run = childProcess.spawnSync(program[0], program.slice(1),
        { input: lines.join("\n") + "\n", encoding: "latin1", maxBuffer: 2 ** 30 });
    if (run.status !== 0)
        fail(2, `${program.join(" ")}: ${run.error ?? run.stderr}`);
    return run.stdout.split("\n").slice(0, -1).map((line) => {
        const [authorization, date, canonical] = line.split("\t")
            .map((field) => Buffer.from(field, "hex").toString());
        return { authorization, date, canonical };
    });
}

function loadSmithy() {
    try {
        const { SignatureV4 } = require("@smithy/signature-v4");
        const { Hash } = require("@smithy/hash-node");
        return { SignatureV4, Sha256: Hash.bind(null, "sha256") };
    } catch {
        return fail(77, "SKIP there is no @smithy/signature-v4; tests/deps --all installs it");
    }
}

/** The decoded query, which this signer escapes itself; null: bytes that a string cannot hold. */
function smithyQuery(one) {
    const query = Object.create(null);
    const pairs = [...one.parameters];
    if (one.token !== null) {
        const text = one.token.toString("utf8");
        if (!Buffer.from(text).equals(one.token))
            return null;
        pairs.push(["configuration_token", text]);
    }
    for (const [name, value] of pairs)
        (query[name] ??= []).push(value ?? "");
    return query;
}

/** null: a case that it cannot express. */
async function signWithSmithy({ SignatureV4, Sha256 }, one) {
    const query = smithyQuery(one);
    if (!query)
        return null;
    const signer = new SignatureV4({
        service: one.service, region: one.region, sha256: Sha256, uriEscapePath: true,
        applyChecksum: false,
        credentials: {
            accessKeyId: one.keyId, secretAccessKey: one.secret,
            sessionToken: one.sessionToken ?? undefined,
        },
    });
    const result = {};
    const create = signer.createCanonicalRequest;
    signer.createCanonicalRequest = (...values) => {
        result.canonical = create.apply(signer, values);
        return result.canonical;
    };
    const headers = { host: one.host };
    if (one.contentType)
        headers["content-type"] = one.contentType;
    const request = {
        method: one.method, protocol: "http:", hostname: "localhost", path: one.path, query,
        headers, body: one.body,
    };
    const signed = await signer.sign(request, { signingDate: new Date(one.time * 1000) });
    result.authorization = signed.headers.authorization;
    result.date = signed.headers["x-amz-date"];
    return result;
}

function isSame(a, b) {
    return a.authorization === b.authorization && a.date === b.date;
}

/** Who is alone, if two others agree. */
function accuse(answers) {
    const names = Object.keys(answers).filter((name) => answers[name]);
    for (const name of names) {
        const others = names.filter((other) => other !== name).map((other) => answers[other]);
        if (others.length === 2 && isSame(...others) && !isSame(answers[name], others[0]))
            return `${name} is alone`;
    }
    return names.length === 2 ? `${names.join(" and ")} differ` : "all differ";
}

function report(index, one, answers) {
    console.log(`FAILED: case ${index}: ${accuse(answers)}`);
    const token = one.token && one.token.toString("latin1");
    console.log(util.inspect({ ...one, token }, { breakLength: 100 }));
    for (const [name, answer] of Object.entries(answers).filter(([, answer]) => answer))
        console.log(`-- ${name}\n${answer.authorization}\n${JSON.stringify(answer.canonical)}`);
}

async function main() {
    const { seed, count, python, signer } = readArguments();
    const smithy = loadSmithy();
    const cases = makeCases(seed, count);
    const lines = cases.map(toLine);
    const ours = signWith([path.resolve(signer)], lines);
    const botocore = signWith([python, path.join(__dirname, "botocore_sign.py")], lines);
    if (ours.length !== count || botocore.length !== count)
        fail(2, `${count} cases, but ${ours.length} and ${botocore.length} signatures`);
    let differ = 0;
    let withoutSmithy = 0;
    for (const [index, one] of cases.entries()) {
        const answers = {
            shmconfd: ours[index], botocore: botocore[index],
            smithy: await signWithSmithy(smithy, one),
        };
        withoutSmithy += answers.smithy ? 0 : 1;
        if (isSame(answers.shmconfd, answers.botocore) &&
            isSame(answers.shmconfd, answers.smithy ?? answers.botocore))
            continue;
        differ++;
        if (differ <= REPORTED_MAX)
            report(index, one, answers);
    }
    console.log(`seed ${seed}: ${count} cases, ${differ} of them signed differently; ` +
        `by all three ${count - withoutSmithy}, by two ${withoutSmithy}: bytes that are not UTF-8`);
    process.exit(differ ? 1 : 0);
}

main().catch((error) => fail(2, error.stack));
