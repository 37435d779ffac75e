-- SPDX-License-Identifier: Apache-2.0
-- What wrk counted, as one line of JSON. With BENCH_BODY=FILE every answer is compared with that
-- file as well, which costs wrk more than the request.
local file = os.getenv("BENCH_BODY")
local threads = {}
wrong = 0

function setup(thread)
    table.insert(threads, thread)
end

if file then
    local handle = assert(io.open(file, "rb"))
    local expected = handle:read("*a")
    handle:close()

    function response(status, headers, body)
        if status ~= 200 or body ~= expected then
            wrong = wrong + 1
        end
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    local bad = 0
    for _, thread in ipairs(threads) do
        bad = bad + thread:get("wrong")
    end
    print(string.format(
        '{"requests": %d, "bytes": %d, "us": %d, "p50_us": %d, "p99_us": %d, "wrong": %d, ' ..
        '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}',
        summary.requests, summary.bytes, summary.duration, latency:percentile(50),
        latency:percentile(99), bad, errors.connect, errors.read, errors.write, errors.status,
        errors.timeout))
end
