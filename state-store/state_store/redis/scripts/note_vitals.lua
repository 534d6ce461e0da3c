-- Id of a live instance, the time by its clock, then field and value pairs of its hash. Writes them down, and takes a
-- sample for the history where none was taken yet in this step of the finest ring (D98).
local now = lease_time()
if not is_live(ARGV[1], now) then return end
redis.call('HSET', INSTANCE .. ARGV[1], unpack(ARGV, 3))
redis.call('HSET', INSTANCE .. ARGV[1], 'clock_ahead', string.format('%.3f', ARGV[2] - now / 1000))

-- As `history.RECORD` in Python.
local GAUGES, COUNTS, BUCKETS = 6, 6, 34
local HEAD = '<I8' .. string.rep('I4', GAUGES)
local FORMAT = HEAD .. string.rep('I8', COUNTS) .. string.rep('I4', BUCKETS)
local OCTETS = struct.size(FORMAT)

-- Where the sample of this moment lies in a ring, and the gauges of one that is there already.
local function place(step, length)
  local key, offset = HISTORY .. step, math.floor(now / step / 1000) % length * OCTETS
  local there = redis.call('GETRANGE', key, offset, offset + OCTETS - 1)
  if #there < OCTETS then return key, offset, nil end
  local gauges = {struct.unpack(HEAD, there)}
  local at = table.remove(gauges, 1)
  return key, offset, math.floor(at / step / 1000) == math.floor(now / step / 1000) and gauges or nil
end
local _, _, is_taken = place(unpack((HISTORY_RINGS)[1]))
if is_taken then return end

local live = live_instances(now)
local open, load, round_trip, loop_lag = 0, 0, 0, 0
for _, instance in ipairs(live) do
  local told = redis.call('HMGET', INSTANCE .. instance, 'open', 'load', 'round_trip', 'loop_lag')
  open, load = open + tonumber(told[1] or 0), load + tonumber(told[2] or 0)
  round_trip, loop_lag = math.max(round_trip, tonumber(told[3] or 0)), math.max(loop_lag, tonumber(told[4] or 0))
end
local gauges = {open, redis.call('HLEN', MAILDROPS), #live, load * 1e3, round_trip * 1e6, loop_lag * 1e6}

local rest = redis.call('HMGET', COUNTERS, 'retrieved_bytes', 'retrieved_emails', 'removed_emails', 'connections', 'logins')
for i = 1, COUNTS - 1 do rest[i] = tonumber(rest[i] or 0) end
local refused, latencies, fields = 0, {}, redis.call('HGETALL', LATENCIES)
for i = 1, #fields, 2 do
  latencies[fields[i]] = tonumber(fields[i + 1])
  if string.sub(fields[i], 1, 8) == 'refused ' then refused = refused + tonumber(fields[i + 1]) end
end
rest[COUNTS] = refused
for _, name in ipairs({'command ', 'login '}) do
  for bucket = 0, BUCKETS / 2 - 1 do rest[#rest + 1] = (latencies[name .. bucket] or 0) % 2 ^ 32 end
end

for _, ring in ipairs(HISTORY_RINGS) do
  local key, offset, before = place(unpack(ring))
  local sample = {now}
  for i, value in ipairs(gauges) do  -- of a step the largest values that were seen
    sample[i + 1] = math.max(math.min(math.floor(value + 0.5), 2 ^ 32 - 1), before and before[i] or 0)
  end
  for _, value in ipairs(rest) do sample[#sample + 1] = value end
  redis.call('SETRANGE', key, offset, struct.pack(FORMAT, unpack(sample)))
end
