-- One request for wrk, again and again: METHOD BODY "Name: value"... ; the figures come last, as a line of JSON.
-- No response() here: it would cost wrk half its speed. Statuses of 400 and above are counted by wrk itself.
function init(args)
    local headers = {}
    for i = 3, #args do
        local name, value = args[i]:match("^([^:]+): (.*)$")
        headers[name] = value
    end
    text = wrk.format(args[1], nil, headers, args[2] ~= "" and args[2] or nil)
end

function request() return text end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('\n{"seconds":%.6f,"requests":%d,"refused":%d,"broken":%d,"p50":%.6f,"p99":%.6f,"max":%.6f}\n',
        summary.duration / 1e6, summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6))
end
