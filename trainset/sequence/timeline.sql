-- Everything of a tenant's sessions from which documents can be rebuilt, and the moments
-- of their interactions, in order.
--
-- The moment of an interaction is that of its opportunity's request: what came before it
-- the agent could know. Without a request it is that of the output, or of its showing.
--
-- Parameters: tenant; from_ms and to_ms, Unix milliseconds, to exclusive: when the
-- sessions started; longest_ms, until how long after that interactions are read.
SELECT session_id, kind, time, interaction_id, opportunity_id, document, version, position,
    offset, removed_length, inserted_length, source, text, consent, sequence, ended_sequence, ended_at
FROM
(
    SELECT
        session_started_at, session_id, sequence, time, 'edit' AS kind, event_id AS id, interaction_id,
        toUUID('00000000-0000-0000-0000-000000000000') AS opportunity_id, document, version, toUInt64(0) AS position,
        offset, removed_length, inserted_length, toString(source) AS source, text, consent, toUInt64(0) AS ended_sequence, toDateTime64(0, 6, 'UTC') AS ended_at
    FROM edits FINAL
    WHERE tenant = {tenant:String}
        AND session_started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND session_started_at < fromUnixTimestamp64Milli({to_ms:Int64})

    UNION ALL

    SELECT
        session_started_at, session_id, sequence, time, kind, event_id, interaction_id,
        opportunity_id, document, version, if(kind = 'selection', head, position),
        0, 0, 0, '', text, consent, 0, toDateTime64(0, 6, 'UTC')
    FROM steps FINAL
    WHERE tenant = {tenant:String}
        AND session_started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND session_started_at < fromUnixTimestamp64Milli({to_ms:Int64})
        AND kind IN ('document_opened', 'document_closed', 'selection')

    UNION ALL

    SELECT
        session_started_at, session_id, sequence, time, 'interaction', interaction_id, interaction_id,
        opportunity_id, '', 0, 0,
        0, 0, 0, '', '', toUInt8(0), greatest(ended_sequence, sequence), ended_at
    FROM interaction_moments(tenant = {tenant:String}, from_ms = {from_ms:Int64} - 86400000, to_ms = {to_ms:Int64} + {longest_ms:Int64})
    WHERE session_started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND session_started_at < fromUnixTimestamp64Milli({to_ms:Int64})
)
ORDER BY session_started_at, session_id, sequence, time, kind = 'interaction', id
SETTINGS do_not_merge_across_partitions_select_final = 1, max_bytes_before_external_sort = 1000000000
