-- Everything else that happened in a session, in its order: messages, tool calls,
-- documents, selections, and feedback and outcomes about the session as a whole.
CREATE TABLE steps
(
    tenant             String,
    session_started_at DateTime64(3, 'UTC'),
    session_id         UUID,
    sequence           UInt64,
    event_id           UUID,
    time               DateTime64(6, 'UTC'),
    opportunity_id     UUID,
    interaction_id     UUID,
    -- The name of the event's payload, for example 'tool_call'.
    kind               String,
    document           String,
    version            UInt64,
    -- Selection: its fixed end. DocumentOpened: the length.
    position           UInt64,
    head               UInt64,
    language           String,
    role               String,
    model              String,
    tokens             UInt32,
    chars              UInt32,
    call_id            String,
    tool               String,
    tool_kind          String,
    decision           String,
    decided_by         String,
    status             String,
    duration_us        UInt64,
    error_type         String,
    thumb              String,
    rating             Nullable(UInt8),
    author             String,
    task_result        String,
    -- SessionEnded: the reason. TaskOutcome: the check. DocumentClosed: 'saved'.
    detail             String,
    client             String,
    client_version     String,
    user               String,
    repository         String,
    platform           String,
    parent_session_id  UUID,
    consent            UInt8,
    text               String,
    arguments          String,
    user_text          String,
    comment            String
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(session_started_at)
ORDER BY (tenant, session_started_at, session_id, sequence, event_id)
