-- Start and end of a range of names ("<kind> <subject>"), text that a row has to hold or ''. Answers {suspended, banned,
-- exempt, {row...}, the last name that was looked at or '' at the end}.
drop_ended(now_ms())
local names, ids = redis.call('ZRANGEBYLEX', REFUSAL_NAMES, ARGV[1], ARGV[2], 'LIMIT', 0, REFUSALS_A_PAGE), {}
for i, name in ipairs(names) do ids[i] = refusal_id(string.match(name, '^(%S+) (.*)$')) end
local answer = {}
for _, row in ipairs(#ids > 0 and redis.call('HMGET', REFUSALS, unpack(ids)) or {}) do
  if string.find(row, ARGV[3], 1, true) then answer[#answer + 1] = row end
end
return {count_refusals('suspend'), count_refusals('ban'), count_refusals('exempt'), answer,
  #names == REFUSALS_A_PAGE and names[#names] or ''}
