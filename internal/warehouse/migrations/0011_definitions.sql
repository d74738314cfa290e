-- What labels and rewards mean, in versions that never change. training_signals
-- holds each interaction once per definition. Weights are in 1/10000: rewards are
-- computed in whole numbers, so that they are the same everywhere.
CREATE TABLE definitions
(
    definition       UInt32,
    name             String,
    created_at       DateTime64(3, 'UTC'),
    notes            String,

    -- The attribution window: how long after its start an interaction is settled.
    window_s         UInt32,
    -- A rejection of what was visible for less counts as ignored.
    min_reject_us    UInt64,
    -- A rejection after less than this is fast.
    fast_reject_us   UInt64,

    w_accepted           Int32,
    w_accepted_modified  Int32,
    -- Times the accepted share of the output.
    w_partially_accepted Int32,
    w_rejected           Int32,
    -- More for a rejection: all of it at once, less the later it came, nothing from
    -- fast_reject_us on.
    w_rejected_fast      Int32,
    -- Times how much of the accepted text was retained: from -1 (nothing) to 1 (all).
    w_retention          Int32,
    -- How much each delay (0, 5, 30, 120, 300, 600, 900 s) says about retention.
    w_delays             Array(UInt32),
    -- Times the share of the output's characters that was accepted and retained.
    w_kept               Int32,
    -- Thumb up; the same negative for a thumb down.
    w_thumb              Int32,
    -- Times the rating, from -1 (0 of 100) to 1 (100 of 100).
    w_rating             Int32,
    -- Element i: TaskResult i + 1.
    w_task_results       Array(Int32)
)
ENGINE = ReplacingMergeTree
ORDER BY definition
