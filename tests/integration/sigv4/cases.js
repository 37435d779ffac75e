// SPDX-License-Identifier: Apache-2.0
// Requests to be signed: some for each byte and known edge, the others at random from a seed.
"use strict";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const UNRESERVED = LETTERS + LETTERS.toUpperCase() + DIGITS + "-_.~";
const VISIBLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join("");
const BASE64 = LETTERS + LETTERS.toUpperCase() + DIGITS + "+/";
const TOKEN_MAX = 8192;

// Midnights, a leap day, days whose ISO week is of another year, the first and the last second.
const TIMES = [0, 951782399, 951782400, 1609459199, 1609459200, 1704067199, 1735603200, 2147483647,
    2147483648, 253402300799];
// Where the padding of a hash gets a block of its own.
const SIZES = [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129];
const REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "cn-north-1", "us-gov-west-1",
    "us-iso-east-1", "eusc-de-east-1"];
const HOSTS = ["appconfigdata.eu-central-1.amazonaws.com", "sts.us-east-1.amazonaws.com",
    "127.0.0.1:2772", "localhost:80", "[fd00:ec2::254]:8080", "UPPER.example:443"];
const TYPES = [null, null, "", "application/json", "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-8",
    "application/ion;type=AWS.AppConfig.FeatureFlags",
    'text/plain; note="a, b:c"'];
const PATHS = ["/", "/configuration", "/configurationsessions", "/prefix/configuration", "//",
    "/./", "/a/..", "/a/.", "/a/b/..", "/a/b/../", "/..", "/../a", "/a//b///", "/a/./b/../../c",
    "/%2F/%2e%2E/", "/a%20b%25c", "/.../..a/b.."];

/** The same numbers from the same seed on every machine. */
class Random {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    /** An integer from 0 to below `end`. */
    below(end) {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
    }

    one(of) {
        return of[this.below(of.length)];
    }

    times(count, make) {
        return Array.from({ length: count }, () => make());
    }

    text(alphabet, count) {
        return this.times(count, () => this.one(alphabet)).join("");
    }

    bytes(count) {
        return Buffer.from(this.times(count, () => this.below(256)));
    }

    /** Any characters that UTF-8 has, more of the short ones. */
    unicode(count) {
        return this.times(count, () => {
            const point = this.below(this.one([0x80, 0x100, 0x800, 0x10000, 0x110000]));
            return String.fromCodePoint(point >= 0xd800 && point < 0xe000 ? 0x2b : point);
        }).join("");
    }

    shuffle(list) {
        for (let i = list.length - 1; i > 0; i--) {
            const j = this.below(i + 1);
            [list[i], list[j]] = [list[j], list[i]];
        }
        return list;
    }
}

/** Percent-encodes bytes as a query must hold them; by no signer's own code. */
function escape(bytes) {
    return Array.from(bytes, (byte) => {
        const c = String.fromCharCode(byte);
        return UNRESERVED.includes(c) ? c : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
    }).join("");
}

function escapeParameter([name, value]) {
    return escape(Buffer.from(name)) + (value === null ? "" : "=" + escape(Buffer.from(value)));
}

function path(random) {
    if (random.below(2) === 0)
        return random.one(PATHS);
    const piece = () => random.one([
        () => random.one(VISIBLE.replace(/[%/?#[\]\\"<>^`{|}]/g, "")),
        () => random.one(UNRESERVED),
        () => escape([random.below(256)]),
        () => escape([random.below(256)]).toLowerCase(),
    ])();
    const segment = () => random.one(["", ".", "..", null, null, null]) ??
        random.times(random.below(12), piece).join("");
    return "/" + random.times(random.below(6), segment).join("/");
}

/** Names that begin alike or are the same; null: a parameter without value and '='. */
function parameters(random) {
    const name = () => random.one([
        () => random.text("ab-.~", 1 + random.below(3)),
        () => "configuration_token" + random.one(["", "s", "-", " ", "A"]),
        () => random.text(UNRESERVED, 1 + random.below(10)),
        () => random.unicode(1 + random.below(4)),
    ])();
    const value = () => random.one([
        () => null,
        () => "",
        () => random.text("ab=&+ /", random.below(4)),
        () => random.unicode(random.below(30)),
    ])();
    return random.times(random.one([0, 0, 1, 2, 3, 8]), () => [name(), value()]);
}

/** null: none. A NUL ends a token in C, so it stands in the values above only. */
function token(random) {
    const size = random.below(20) === 0 ? TOKEN_MAX : 1 + random.below(100);
    return random.one([
        () => null,
        () => Buffer.from(""),
        () => Buffer.from(random.text(BASE64, 833 + 4 * random.below(11)) +
            random.one(["", "=", "=="])),
        () => Buffer.from(random.text(VISIBLE, size)),
        () => Buffer.from(random.shuffle(Array.from({ length: 255 }, (_, i) => i + 1))),
        () => random.bytes(size).map((byte) => byte || 1),
        () => Buffer.from(random.shuffle(Array.from({ length: 255 }, (_, i) => i + 1))
            .map((point) => String.fromCodePoint(point)).join("")),
        () => Buffer.from(random.unicode(size).replaceAll("\0", "+")),
    ])();
}

function sessionToken(random) {
    return random.one([null, "", random.text(BASE64, 100 + random.below(900)) + "==",
        random.text(VISIBLE, 1 + random.below(60))]);
}

/** The secret's size matters: with "AWS4" before it, a key over 64 bytes is hashed first. */
function credentials(random) {
    return {
        keyId: random.text(LETTERS.toUpperCase() + DIGITS, random.one([1, 16, 20, 128, 255])),
        secret: random.text(VISIBLE, random.one([1, 40, 40, 59, 60, 61, 255])),
        sessionToken: sessionToken(random),
    };
}

function randomCase(random) {
    const region = random.one([random.one(REGIONS), random.text(LETTERS + DIGITS + "-",
        1 + random.below(64))]);
    return {
        ...credentials(random),
        region,
        service: random.one(["appconfig", "appconfig", "sts", random.text(LETTERS + "-",
            1 + random.below(64))]),
        time: random.one([random.one(TIMES), random.below(4102444800), random.below(4102444800)]),
        method: random.one(["GET", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
        host: random.one([random.one(HOSTS), random.text(LETTERS + DIGITS + "-.",
            1 + random.below(60))]),
        path: path(random),
        parameters: parameters(random),
        token: token(random),
        contentType: random.one([random.one(TYPES), random.text(VISIBLE, 1 + random.below(40)) +
            " " + random.text(VISIBLE, 1 + random.below(9))]),
        body: random.bytes(random.one([0, random.one(SIZES), random.below(2000)])),
    };
}

/** One poll as the daemon makes it; the edges differ from it in one thing each. */
const PLAIN = {
    keyId: "AKIDEXAMPLE", secret: "secret/+=0123456789abcdefghijklmnopqrstuv", sessionToken: null,
    region: "eu-west-1", service: "appconfig", time: 1440938160, method: "GET",
    host: "appconfigdata.eu-west-1.amazonaws.com", path: "/configuration", parameters: [],
    token: null, contentType: null, body: Buffer.alloc(0),
};

function* edges() {
    for (let byte = 0; byte < 256; byte++) {
        const character = String.fromCodePoint(byte);
        yield { ...PLAIN, parameters: [["a" + character + "b", character]] };
        yield { ...PLAIN, path: "/x" + escape([byte]) };
        if (byte > 0) {
            yield { ...PLAIN, token: Buffer.from([byte]) };
            yield { ...PLAIN, token: Buffer.from(character), sessionToken: "session+/==" };
        }
    }
    const lists = { time: TIMES, path: PATHS, contentType: TYPES, host: HOSTS, region: REGIONS,
        body: SIZES.map((size) => Buffer.alloc(size, "x")) };
    for (const [field, values] of Object.entries(lists)) {
        for (const value of values)
            yield { ...PLAIN, [field]: value };
    }
}

/** The edges first, then random ones up to `count` in all. */
function makeCases(seed, count) {
    const random = new Random(seed);
    const cases = [...edges()].slice(0, count);
    while (cases.length < count)
        cases.push(randomCase(random));
    return cases;
}

/** A case as a line for sign.c and botocore_sign.py. */
function toLine(one) {
    const fields = [one.keyId, one.secret, one.sessionToken, one.region, one.service,
        String(one.time), one.method, one.host, one.path,
        one.parameters.map(escapeParameter).join("&"), one.token, one.contentType, one.body];
    const toHex = (field) => (field === null ? "-" : Buffer.from(field).toString("hex"));
    return fields.map(toHex).join("\t");
}

module.exports = { makeCases, toLine };
