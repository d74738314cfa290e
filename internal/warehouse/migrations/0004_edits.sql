-- Every change of every document, in the order of its session.
CREATE TABLE edits
(
    tenant             String,
    session_started_at DateTime64(3, 'UTC'),
    session_id         UUID,
    sequence           UInt64,
    event_id           UUID,
    time               DateTime64(6, 'UTC'),
    interaction_id     UUID,
    document           String,
    version            UInt64,
    offset             UInt64,
    removed_length     UInt64,
    inserted_length    UInt64,
    source             Enum8('' = 0, 'user' = 1, 'paste' = 2, 'interaction' = 3, 'other_ai' = 4, 'editor' = 5, 'undo' = 6, 'external' = 7),
    consent            UInt8,
    text               String
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(session_started_at)
ORDER BY (tenant, session_started_at, session_id, sequence, event_id)
