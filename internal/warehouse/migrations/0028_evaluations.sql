-- Evaluations of models: their predictions compared with a held-out split of a training
-- set. Each row is a whole evaluation and never changes.
CREATE TABLE evaluations
(
    tenant          String,
    model           String,
    evaluated_at    DateTime64(3, 'UTC'),
    training_set_id String,
    split           String,
    -- Predictions of interactions that the split does not have.
    unknown         UInt64,
    -- The first are those of all rows, the others those of each language. What they mean
    -- is said at EvaluationScores; of shares the counts are kept.
    scores          Nested(
        language String, rows UInt64, missing UInt64, exact UInt64, prefix UInt64,
        edit_similarity Float64, edit_similarity_low Float64, edit_similarity_high Float64,
        common_prefix Float64, common_prefix_low Float64, common_prefix_high Float64,
        mean_predicted_chars Float64)
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant, model, evaluated_at, training_set_id, split)
