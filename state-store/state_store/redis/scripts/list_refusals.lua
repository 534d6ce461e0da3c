-- Start and end of a range of names ("<kind> <subject>"), text that a row has to hold or '', how many. Answers {suspended,
-- banned, exempt, {row...}}.
drop_ended(now_ms())
local start, stop, text, limit, answer = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), {}
repeat
  local names, ids = redis.call('ZRANGEBYLEX', REFUSAL_NAMES, start, stop, 'LIMIT', 0, REFUSALS_A_PAGE), {}
  for i, name in ipairs(names) do ids[i] = refusal_id(string.match(name, '^(%S+) (.*)$')) end
  local rows = #ids > 0 and redis.call('HMGET', REFUSALS, unpack(ids)) or {}
  for _, row in ipairs(rows) do
    if #answer < limit and string.find(row, text, 1, true) then answer[#answer + 1] = row end
  end
  if #names > 0 then start = '(' .. names[#names] end
until #answer >= limit or #names < REFUSALS_A_PAGE
return {count_refusals('suspend'), count_refusals('ban'), count_refusals('exempt'), answer}
