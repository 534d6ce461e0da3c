-- Keys of groups. Answers {ms, {text or false...}, since when there are records, the step of taking that comes next, notes
-- that are being taken, notes that wait}.
return {now_ms(), redis.call('MGET', unpack(ARGV)), redis.call('GET', RECORDS_SINCE),
  redis.call('GET', USER_NOTES_STEP), redis.call('GET', USER_NOTES_TAKEN), redis.call('GET', USER_NOTES)}
