-- The registry of models: where each came from and how far it is. Each row is a whole
-- state; of one model the row of the highest revision counts.
CREATE TABLE models
(
    tenant          String,
    -- As in the dimension of the events.
    model           String,
    revision        UInt64,
    parent          String,
    training_set_id String,
    stage           Enum8('offline' = 1, 'dogfood' = 2, 'experiment' = 3, 'released' = 4, 'retired' = 5),
    notes           String,
    created_at      DateTime64(3, 'UTC'),
    updated_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (tenant, model)
