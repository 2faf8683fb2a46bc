-- wrk's side: sends requests that were made before, byte for byte, and prints what came of it as one line of JSON.
--
--   wrk … -s replay.lua URL -- once PREFIX    each request of PREFIX-0, PREFIX-1, … once; thread n reads the file n alone
--   wrk … -s replay.lua URL -- all PREFIX     the same, and when a thread has sent its last request it waits for the answers
--   wrk … -s replay.lua URL -- round PREFIX   the same requests again and again, from memory
--
-- A record is six digits, the length of the request, then the request.

local threads = {}

function setup(thread)
    thread:set("part", #threads)
    table.insert(threads, thread)
end

-- While a thread waits for its last answers, its idle connections send this.
local IDLE = "GET /webhooks/livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
local IDLE_SECONDS = 2

local file, requests, position, ended, tried

local function read_record()
    local length = file:read(6)
    return length and file:read(tonumber(length))
end

function init(arguments)
    exhausted = false
    file = assert(io.open(arguments[2] .. "-" .. part, "rb"))
    file:setvbuf("full", 1048576)
    if arguments[1] == "once" then
        request = read_once
    elseif arguments[1] == "all" then
        request = read_all
    else
        requests, position = {}, 0
        for record in read_record do
            requests[#requests + 1] = record
        end
        file:close()
        request = read_round
    end
end

function read_once()
    local record = read_record()
    if record then
        return record
    end
    -- Something must be sent; the run does not count any more.
    exhausted = true
    wrk.thread:stop()
    return "GET /exhausted HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
end

function read_all()
    -- Before it starts, wrk asks its first thread for a request, which it does not send.
    if part == 0 and not tried then
        tried = true
        return IDLE
    end
    local record = read_record()
    if record then
        return record
    end
    ended = ended or os.time()
    if os.time() > ended + IDLE_SECONDS then
        wrk.thread:stop()
    end
    return IDLE
end

function read_round()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency, all)
    local ran_out = false
    for _, thread in ipairs(threads) do
        ran_out = ran_out or thread:get("exhausted")
    end
    local errors = summary.errors
    io.write(string.format(
        '{"seconds":%.6f,"requests":%d,"refused":%d,"broken":%d,"timeouts":%d,"exhausted":%s,' ..
        '"p50_ms":%.3f,"p99_ms":%.3f,"p999_ms":%.3f,"max_ms":%.3f}\n',
        summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write, errors.timeout,
        tostring(ran_out), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
        latency.max / 1e3))
end
