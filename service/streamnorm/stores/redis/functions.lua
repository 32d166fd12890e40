#!lua name=streamnorm_1
-- What the store itself does: compare and set. A change of meaning gets another number, for while a new version of the
-- service is rolled out, both versions call their own.

-- keys: the stream's blob; where the stream may come or go, also the index of its partition
-- args: the version that was read (8 bytes, empty for no stream), the new blob (its version first; empty deletes),
--       milliseconds to keep it (0: for good), the stream's id
-- gives 1, or, where another has been quicker, the blob that is there now (empty for none)
local function put(keys, args)
  local blob, index = keys[1], keys[2]
  if redis.call('GETRANGE', blob, 0, 7) ~= args[1] then
    return redis.call('GET', blob) or ''
  end
  if args[2] == '' then
    redis.call('DEL', blob)
    redis.call('ZREM', index, args[4])
    return 1
  end
  if args[3] == '0' then
    redis.call('SET', blob, args[2])
  else
    redis.call('SET', blob, args[2], 'PX', args[3])
  end
  if args[1] == '' then
    redis.call('ZADD', index, 0, args[4])
  end
  return 1
end

-- keys: a blob, the index of its partition; args: the stream's id
-- takes a stream that has expired out of the index
local function tidy(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    return redis.call('ZREM', keys[2], args[1])
  end
  return 0
end

redis.register_function('streamnorm_put_1', put)
redis.register_function('streamnorm_tidy_1', tidy)
