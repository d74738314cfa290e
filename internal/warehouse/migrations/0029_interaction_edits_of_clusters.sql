-- The edits that led to each interaction, and those that followed it: what the user wrote
-- instead. One row per interaction and edit, across the documents of the session, in the
-- order in which they happened whatever the order in which they arrived. position is -1
-- for the last edit before the interaction, 1 for the first after its end.
--
-- Made anew so that the sessions are looked up in a table: on a cluster they cannot be in
-- a view with parameters.
--
-- Parameters: tenant; from_ms and to_ms, Unix milliseconds, to exclusive: when the
-- interactions started; edits, how many before and after at most; before_s and after_s,
-- how many seconds before the request and after the end at most.
CREATE OR REPLACE VIEW interaction_edits AS
WITH
    moments AS
    (
        SELECT * FROM interaction_moments(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64})
    ),
    numbered AS
    (
        SELECT
            session_id, sequence, time, event_id, document, version, offset, removed_length, inserted_length, source, interaction_id, consent, text,
            toInt64(row_number() OVER (PARTITION BY session_id ORDER BY sequence, time, event_id)) AS n
        FROM edits FINAL
        WHERE tenant = {tenant:String}
            AND (session_started_at, session_id) IN
            (
                SELECT UUIDv7ToDateTime(session_id, 'UTC'), session_id FROM interactions
                WHERE tenant = {tenant:String}
                    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
            )
    ),
    -- How many edits of its session come before each moment, and before its end.
    placed AS
    (
        SELECT session_id, interaction_id, kind, place
        FROM
        (
            SELECT
                session_id, interaction_id, kind,
                toInt64(sum(kind = 0) OVER (PARTITION BY session_id ORDER BY sequence, time, kind ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS place
            FROM
            (
                SELECT session_id, interaction_id, 0 AS kind, sequence, time FROM numbered
                UNION ALL
                SELECT session_id, interaction_id, 1, sequence, time FROM moments
                UNION ALL
                SELECT session_id, interaction_id, 2, greatest(ended_sequence, sequence), ended_at FROM moments
            )
        )
        WHERE kind > 0
    ),
    wanted AS
    (
        SELECT session_id, interaction_id, kind, place, toInt64(arrayJoin(range(1, {edits:UInt32} + 1))) AS k
        FROM placed
    )
SELECT
    m.tenant AS tenant,
    m.started_at AS started_at,
    m.interaction_id AS interaction_id,
    m.session_id AS session_id,
    if(w.kind = 1, -w.k, w.k) AS position,
    e.sequence AS sequence,
    e.time AS time,
    e.document AS document,
    e.version AS version,
    e.offset AS offset,
    e.removed_length AS removed_length,
    e.inserted_length AS inserted_length,
    e.source AS source,
    -- The interaction whose output the edit applied.
    e.interaction_id AS applied,
    e.consent AS consent,
    e.text AS text
FROM wanted AS w
INNER JOIN numbered AS e ON e.session_id = w.session_id AND e.n = if(w.kind = 1, w.place + 1 - w.k, w.place + w.k)
INNER JOIN moments AS m ON m.session_id = w.session_id AND m.interaction_id = w.interaction_id
WHERE if(w.kind = 1, e.time >= m.time - toIntervalSecond({before_s:UInt32}), e.time <= m.ended_at + toIntervalSecond({after_s:UInt32}))
SETTINGS do_not_merge_across_partitions_select_final = 1
