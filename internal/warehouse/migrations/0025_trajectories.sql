-- Agent sessions as a model would have to act in them: one row per session, with its
-- messages and tool calls in their true order, and how it turned out. A tool call that
-- was reported more than once is one step, at the place where it began; of each of its
-- fields the largest value counts.
--
-- Parameters: tenant; from_ms and to_ms, Unix milliseconds, to exclusive: when the
-- sessions started.
CREATE VIEW trajectories AS
SELECT
    tenant,
    session_started_at AS started_at,
    session_id,
    max(client) AS client,
    max(client_version) AS client_version,
    max(user) AS user,
    max(repository) AS repository,
    max(platform) AS platform,
    max(parent_session_id) AS parent_session_id,
    countIf(kind = 'message') AS messages,
    countIf(kind = 'tool_call') AS tool_calls,
    -- The latest thumb and rating of the session as a whole.
    argMaxIf(thumb, (time, sequence), kind = 'feedback' AND thumb != '') AS thumb,
    argMaxIf(rating, (time, sequence), kind = 'feedback' AND rating IS NOT NULL) AS rating,
    arraySort(groupUniqArrayIf(task_result, kind = 'task_outcome')) AS task_results,
    maxIf(detail, kind = 'session_ended') AS ended_reason,
    -- Bit i: some text came with Consent i.
    groupBitOr(consents) AS consents,
    arrayMap(s -> s.2, arraySort(s -> s.1, groupArrayIf(
        (
            (sequence, time, id),
            CAST(
                (sequence, time, kind, role, model, text, call_id, tool, tool_kind, arguments, decision, decided_by, status, error_type, duration_us, user_text, comment),
                'Tuple(sequence UInt64, time DateTime64(6, \'UTC\'), kind String, role String, model String, text String, call_id String, tool String, tool_kind String, arguments String, decision String, decided_by String, status String, error_type String, duration_us UInt64, user_text String, comment String)'
            )
        ),
        kind IN ('message', 'tool_call')
    ))) AS steps
FROM
(
    SELECT
        tenant, session_started_at, session_id,
        if(s.kind = 'tool_call', concat('call ', s.call_id), toString(s.event_id)) AS id,
        any(s.kind) AS kind,
        min(s.sequence) AS sequence, min(s.time) AS time,
        any(s.call_id) AS call_id,
        max(s.role) AS role, max(s.model) AS model, max(s.text) AS text, max(s.tool) AS tool, max(s.tool_kind) AS tool_kind,
        max(s.arguments) AS arguments, max(s.decision) AS decision, max(s.decided_by) AS decided_by, max(s.status) AS status,
        max(s.error_type) AS error_type, max(s.duration_us) AS duration_us, max(s.user_text) AS user_text, max(s.comment) AS comment,
        max(s.thumb) AS thumb, max(s.rating) AS rating, max(s.task_result) AS task_result, max(s.detail) AS detail,
        max(s.client) AS client, max(s.client_version) AS client_version, max(s.user) AS user, max(s.repository) AS repository,
        max(s.platform) AS platform, max(s.parent_session_id) AS parent_session_id,
        groupBitOr(toUInt8(bitShiftLeft(toUInt8(s.consent > 0), s.consent))) AS consents
    FROM steps AS s FINAL
    WHERE tenant = {tenant:String}
        AND session_started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND session_started_at < fromUnixTimestamp64Milli({to_ms:Int64})
        AND s.kind NOT IN ('selection', 'document_opened', 'document_closed')
    GROUP BY tenant, session_started_at, session_id, id
)
GROUP BY tenant, session_started_at, session_id
SETTINGS do_not_merge_across_partitions_select_final = 1, optimize_aggregation_in_order = 1
