-- Start and end of a range of names ("<kind> <subject>"). Answers {suspended, banned, exempt, {row...}, the last name that
-- was looked at or '' at the end}.
drop_ended(now_ms())
local rows, last = refusal_page(ARGV[1], ARGV[2])
return {count_refusals('suspend'), count_refusals('ban'), count_refusals('exempt'), rows, last}
