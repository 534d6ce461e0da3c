-- Answers the names of the administrators that settings of live front ends name.
local answer = {}
for name in pairs(names_of_settings()) do answer[#answer + 1] = name end
return answer
