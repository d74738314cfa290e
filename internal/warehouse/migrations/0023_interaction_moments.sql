-- Where in its session each interaction stands: at the request of its opportunity, since
-- what came before that is what the agent could know; without a request at its output, or
-- at its showing. Order sessions by (sequence, time): sequence is 0 where the client does
-- not count. ended_at is when its terminal outcome was, or else when it was shown.
--
-- Parameters: tenant; from_ms and to_ms, Unix milliseconds, to exclusive: when the
-- interactions started. Their opportunities are looked for from a day before.
CREATE VIEW interaction_moments AS
SELECT
    i.tenant AS tenant,
    i.started_at AS started_at,
    i.interaction_id AS interaction_id,
    i.opportunity_id AS opportunity_id,
    i.session_id AS session_id,
    UUIDv7ToDateTime(i.session_id, 'UTC') AS session_started_at,
    multiIf(o.requested_sequence > 0, o.requested_sequence, i.generated_sequence > 0, i.generated_sequence, i.shown_sequence) AS sequence,
    multiIf(o.requested_at > 0, o.requested_at, i.generated_at > 0, i.generated_at, i.shown_at > 0, i.shown_at, toDateTime64(i.started_at, 6, 'UTC')) AS time,
    i.ended_sequence AS ended_sequence,
    if(i.outcome_rank > 0,
        fromUnixTimestamp64Micro(toInt64(bitAnd(bitShiftRight(i.outcome_rank, 8), bitShiftLeft(toUInt64(1), 54) - 1)), 'UTC'),
        greatest(i.shown_at, time)) AS ended_at
FROM
(
    SELECT * FROM interactions FINAL
    WHERE tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS i
LEFT JOIN
(
    SELECT opportunity_id, requested_sequence, requested_at FROM opportunities FINAL
    WHERE tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 1 DAY AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS o ON o.opportunity_id = i.opportunity_id
SETTINGS do_not_merge_across_partitions_select_final = 1
