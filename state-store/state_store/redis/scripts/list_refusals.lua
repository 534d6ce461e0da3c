-- Start and end of a range of names ("<kind> <subject>"), text that a row has to hold or ''. Answers {suspended, banned,
-- exempt, {row...}, the last name that was looked at or '' at the end}.
drop_ended(now_ms())
local rows, last = refusal_page(ARGV[1], ARGV[2])
local answer = {}
for _, row in ipairs(rows) do
  if string.find(row, ARGV[3], 1, true) then answer[#answer + 1] = row end
end
return {count_refusals('suspend'), count_refusals('ban'), count_refusals('exempt'), answer, last}
