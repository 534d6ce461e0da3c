-- Session id, a cursor of HSCAN. Answers {the next cursor, whose maildrop the session holds; '' for none of those looked at}.
local page = redis.call('HSCAN', MAILDROPS, ARGV[2], 'COUNT', LOCKS_LOOKED_AT)
for i = 1, #page[2], 2 do
  local _, session = holder(page[2][i + 1])
  if session == ARGV[1] then return {'0', page[2][i]} end
end
return {page[1], ''}
