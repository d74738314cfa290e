-- Training sets. Each row is a whole state of one; the row of the highest revision
-- counts. Its rows are in a table of their own, rows_table, which is made once and never
-- changes.
CREATE TABLE training_sets
(
    tenant          String,
    training_set_id UUID,
    revision        UInt64,
    -- SHA-256 of everything that decides the rows, the watermark included.
    fingerprint     String,
    -- CreateTrainingSetRequest, as protobuf, with the watermark and the definition it got.
    request         String,
    state           Enum8('running' = 1, 'ready' = 2, 'failed' = 3, 'cancelled' = 4, 'deleted' = 5),
    error           String,
    rows_table      String,
    step            String,
    rows            UInt64,
    bytes           UInt64,
    expected_rows   UInt64,
    eta_s           Float64,
    -- Rows by split and label.
    counts          Nested(split String, label String, rows UInt64),
    left_out        Map(String, UInt64),
    created_at      DateTime64(3, 'UTC'),
    updated_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (tenant, training_set_id)
