-- wrk replays requests that were written before: each thread those of a file of its own, each once if they last.
local threads = {}

function setup(thread)
  thread:set("file", os.getenv("BENCH_REQUESTS") .. "/requests." .. #threads)
  threads[#threads + 1] = thread
end

function init()
  requests, last, wraps = {}, 0, 0
  local file = assert(io.open(file, "rb"))
  for request in file:read("*a"):gmatch("[^%z]+") do
    requests[#requests + 1] = request
  end
  file:close()
end

function request()
  last = last + 1
  if last > #requests then
    last, wraps = 1, wraps + 1
  end
  return requests[last]
end

function done(summary, latency)
  local wraps, errors = 0, summary.errors
  for _, thread in ipairs(threads) do
    wraps = wraps + thread:get("wraps")
  end
  local line = '{"requests": %d, "refused": %d, "broken": %d, "late": %d, "wraps": %d, '
    .. '"seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}'
  print("RESULT " .. line:format(
    summary.requests, errors.status, errors.connect + errors.read + errors.write, errors.timeout, wraps,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3
  ))
end
