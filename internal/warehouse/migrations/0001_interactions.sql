-- One row per interaction once merged. Each event becomes a partial row; rows of
-- one key merge by functions that are commutative, associative and idempotent
-- (max, bitwise or), so duplicates and reordering change nothing.
--
-- started_at is the timestamp inside interaction_id. Strings and ids are empty
-- until an event sets them. Times are the client's clock.
CREATE TABLE interactions
(
    tenant               String,
    started_at           DateTime64(3, 'UTC'),
    interaction_id       UUID,

    opportunity_id       SimpleAggregateFunction(max, UUID),
    session_id           SimpleAggregateFunction(max, UUID),
    user                 SimpleAggregateFunction(max, String),
    repository           SimpleAggregateFunction(max, String),

    surface              SimpleAggregateFunction(max, String),
    model                SimpleAggregateFunction(max, String),
    variant              SimpleAggregateFunction(max, String),
    experiment           SimpleAggregateFunction(max, String),
    language             SimpleAggregateFunction(max, String),
    client               SimpleAggregateFunction(max, String),
    client_version       SimpleAggregateFunction(max, String),
    client_setting       SimpleAggregateFunction(max, String),
    view_kind            SimpleAggregateFunction(max, String),
    source               SimpleAggregateFunction(max, String),
    trigger              SimpleAggregateFunction(max, String),

    kind                 SimpleAggregateFunction(max, String),
    generated_at         SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    first_token_us       SimpleAggregateFunction(max, UInt64),
    latency_us           SimpleAggregateFunction(max, UInt64),
    prompt_tokens        SimpleAggregateFunction(max, UInt32),
    cached_tokens        SimpleAggregateFunction(max, UInt32),
    output_tokens        SimpleAggregateFunction(max, UInt32),
    output_chars         SimpleAggregateFunction(max, UInt32),
    output_lines         SimpleAggregateFunction(max, UInt32),
    mean_logprob         SimpleAggregateFunction(max, Nullable(Float32)),

    shown_at             SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    shown_latency_us     SimpleAggregateFunction(max, UInt64),
    not_shown_at         SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    not_shown_reason     SimpleAggregateFunction(max, String),
    visible_us           SimpleAggregateFunction(max, UInt64),

    -- class << 62 | time in microseconds << 8 | Outcome. Classes: 3 accepted,
    -- partially accepted, accepted modified; 2 rejected; 1 auto accepted; 0 the
    -- others. So an acceptance beats a rejection, which beats an automatic
    -- acceptance, which beats the passive outcomes; within a class the latest wins.
    outcome_rank         SimpleAggregateFunction(max, UInt64),
    accepted_chars       SimpleAggregateFunction(max, UInt32),
    accepted_lines       SimpleAggregateFunction(max, UInt32),
    superseded_by        SimpleAggregateFunction(max, UUID),
    decided_by           SimpleAggregateFunction(max, String),
    outcome_detail       SimpleAggregateFunction(max, String),

    -- Retained characters + 1 at each delay in seconds; 0: not measured.
    retained_chars_0     SimpleAggregateFunction(max, UInt32),
    retained_chars_5     SimpleAggregateFunction(max, UInt32),
    retained_chars_30    SimpleAggregateFunction(max, UInt32),
    retained_chars_120   SimpleAggregateFunction(max, UInt32),
    retained_chars_300   SimpleAggregateFunction(max, UInt32),
    retained_chars_600   SimpleAggregateFunction(max, UInt32),
    retained_chars_900   SimpleAggregateFunction(max, UInt32),
    -- Four-gram survival in 1/10000, rounded, + 1 at each delay; 0: not measured.
    four_gram_0          SimpleAggregateFunction(max, UInt16),
    four_gram_5          SimpleAggregateFunction(max, UInt16),
    four_gram_30         SimpleAggregateFunction(max, UInt16),
    four_gram_120        SimpleAggregateFunction(max, UInt16),
    four_gram_300        SimpleAggregateFunction(max, UInt16),
    four_gram_600        SimpleAggregateFunction(max, UInt16),
    four_gram_900        SimpleAggregateFunction(max, UInt16),
    -- Bit i: the branch had changed at the i-th delay.
    branch_changed       SimpleAggregateFunction(groupBitOr, UInt8),

    -- time in microseconds << 8 | Thumb: the latest wins. 0: none.
    thumb_rank           SimpleAggregateFunction(max, UInt64),
    -- time in microseconds << 8 | rating + 1: the latest wins. 0: none.
    rating_rank          SimpleAggregateFunction(max, UInt64),
    -- Bit i: TaskResult i is known.
    task_results         SimpleAggregateFunction(groupBitOr, UInt32),

    alternative_at       SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    alternative_no_edit  SimpleAggregateFunction(max, UInt8),
    alternative_chars    SimpleAggregateFunction(max, UInt32)
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(started_at)
ORDER BY (tenant, started_at, interaction_id)
