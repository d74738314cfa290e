-- Where in its session an interaction's events stand (Event.sequence): before and
-- after which edits. 0: not known.
ALTER TABLE interactions
    ADD COLUMN IF NOT EXISTS generated_sequence SimpleAggregateFunction(max, UInt64) AFTER generated_at,
    ADD COLUMN IF NOT EXISTS shown_sequence SimpleAggregateFunction(max, UInt64) AFTER shown_at,
    ADD COLUMN IF NOT EXISTS ended_sequence SimpleAggregateFunction(max, UInt64) AFTER outcome_rank
