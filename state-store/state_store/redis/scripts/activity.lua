-- Id, limit. Answers {id of the first remembered entry, of the last activity, how many entries were ever added, how
-- many are remembered, {the entry that the id lies in, entry after it...}}: so many that `limit` activities follow the
-- id, or all that there are.
if redis.call('EXISTS', ACTIVITY) == 0 then return {'0-0', '0-0', 0, 0, {}} end
local about, info = redis.call('XINFO', 'STREAM', ACTIVITY), {}
for i = 1, #about, 2 do info[about[i]] = about[i + 1] end
local first = redis.call('XRANGE', ACTIVITY, '-', '+', 'COUNT', 1)[1]

local function activities_in(fields)
  if fields[#fields - 1] ~= 'more' then return 1 end
  local _, line_ends = string.gsub(fields[#fields], '\n', '')
  return 2 + line_ends
end
local entries = redis.call('XREVRANGE', ACTIVITY, ARGV[1], '-', 'COUNT', 1)
local last, missing, page = ARGV[1], tonumber(ARGV[2]), nil
repeat
  page = redis.call('XRANGE', ACTIVITY, '(' .. last, '+', 'COUNT', ACTIVITY_PAGE)
  for _, entry in ipairs(page) do
    if missing <= 0 then break end
    entries[#entries + 1], last = entry, entry[1]
    missing = missing - activities_in(entry[2])
  end
until missing <= 0 or #page < ACTIVITY_PAGE
return {first and first[1] or '0-0', info['last-generated-id'], info['entries-added'], info['length'], entries}
