-- Acts that somebody who may only read can repeat: at the head of the scripts that make them.

-- Whether one more of these may be in the audit: MOST_SIGN_INS at once, and as many an hour. More would push others out.
local function may_be_repeated(what)
  return is_within(SIGNED_IN .. redis.sha1hex(what), MOST_SIGN_INS, SIGN_IN_NOTED_MS / MOST_SIGN_INS, now_ms())
end
