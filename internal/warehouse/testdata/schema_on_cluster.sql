-- schema_migrations, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS schema_migrations_local ON CLUSTER `events`
(version UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY version;

-- schema_migrations, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS schema_migrations ON CLUSTER `events` AS schema_migrations_local
ENGINE = Distributed('events', 'flywheel', 'schema_migrations_local', cityHash64(version))
COMMENT 'cluster events, shards of weight 1 2';

-- 0001_interactions, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS interactions_local ON CLUSTER `events`
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
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(started_at)
ORDER BY (tenant, started_at, interaction_id);

-- 0001_interactions, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS interactions ON CLUSTER `events` AS interactions_local
ENGINE = Distributed('events', 'flywheel', 'interactions_local', cityHash64(interaction_id))
COMMENT 'cluster events, shards of weight 1 2';

-- 0002_opportunities, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS opportunities_local ON CLUSTER `events`
(
    tenant                  String,
    started_at              DateTime64(3, 'UTC'),
    opportunity_id          UUID,

    session_id              SimpleAggregateFunction(max, UUID),
    user                    SimpleAggregateFunction(max, String),
    repository              SimpleAggregateFunction(max, String),

    surface                 SimpleAggregateFunction(max, String),
    model                   SimpleAggregateFunction(max, String),
    variant                 SimpleAggregateFunction(max, String),
    experiment              SimpleAggregateFunction(max, String),
    language                SimpleAggregateFunction(max, String),
    client                  SimpleAggregateFunction(max, String),
    client_version          SimpleAggregateFunction(max, String),
    client_setting          SimpleAggregateFunction(max, String),
    view_kind               SimpleAggregateFunction(max, String),
    source                  SimpleAggregateFunction(max, String),
    trigger                 SimpleAggregateFunction(max, String),

    requested_at            SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    not_produced_at         SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    not_produced_reason     SimpleAggregateFunction(max, String),
    not_produced_detail     SimpleAggregateFunction(max, String),
    not_produced_latency_us SimpleAggregateFunction(max, UInt64)
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(started_at)
ORDER BY (tenant, started_at, opportunity_id);

-- 0002_opportunities, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS opportunities ON CLUSTER `events` AS opportunities_local
ENGINE = Distributed('events', 'flywheel', 'opportunities_local', cityHash64(opportunity_id))
COMMENT 'cluster events, shards of weight 1 2';

-- 0003_content, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS content_local ON CLUSTER `events`
(
    tenant      String,
    started_at  DateTime64(3, 'UTC'),
    id          UUID,
    -- Bit i: some event's content came with Consent i. Text may be used for
    -- training only when no other bit than that of CONSENT_TRAINING is set.
    consents    SimpleAggregateFunction(groupBitOr, UInt8),
    prompt      SimpleAggregateFunction(max, String),
    output      SimpleAggregateFunction(max, String),
    -- What the accepted text became under the user's hands (Ended).
    final_text  SimpleAggregateFunction(max, String),
    -- What the user wrote instead (Alternative).
    alternative SimpleAggregateFunction(max, String),
    -- What the output should have been (Feedback).
    correction  SimpleAggregateFunction(max, String),
    comment     SimpleAggregateFunction(max, String)
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(started_at)
ORDER BY (tenant, started_at, id);

-- 0003_content, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS content ON CLUSTER `events` AS content_local
ENGINE = Distributed('events', 'flywheel', 'content_local', cityHash64(id))
COMMENT 'cluster events, shards of weight 1 2';

-- 0004_edits, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS edits_local ON CLUSTER `events`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(session_started_at)
ORDER BY (tenant, session_started_at, session_id, sequence, event_id);

-- 0004_edits, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS edits ON CLUSTER `events` AS edits_local
ENGINE = Distributed('events', 'flywheel', 'edits_local', cityHash64(session_id))
COMMENT 'cluster events, shards of weight 1 2';

-- 0005_steps, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS steps_local ON CLUSTER `events`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(session_started_at)
ORDER BY (tenant, session_started_at, session_id, sequence, event_id);

-- 0005_steps, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS steps ON CLUSTER `events` AS steps_local
ENGINE = Distributed('events', 'flywheel', 'steps_local', cityHash64(session_id))
COMMENT 'cluster events, shards of weight 1 2';

-- 0006_bucket_touches, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS bucket_touches_local ON CLUSTER `events`
(
    tenant     String,
    bucket     DateTime('UTC'),
    touches    SimpleAggregateFunction(sum, UInt64),
    touched_at SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (tenant, bucket);

-- 0006_bucket_touches, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS bucket_touches ON CLUSTER `events` AS bucket_touches_local
ENGINE = Distributed('events', 'flywheel', 'bucket_touches_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0007_settled_buckets, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS settled_buckets_local ON CLUSTER `events`
(
    tenant     String,
    bucket     DateTime('UTC'),
    version    UInt64,
    settled_at DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY (tenant, bucket);

-- 0007_settled_buckets, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS settled_buckets ON CLUSTER `events` AS settled_buckets_local
ENGINE = Distributed('events', 'flywheel', 'settled_buckets_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0008_rates, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS rates_local ON CLUSTER `events`
(
    tenant             LowCardinality(String),
    bucket             DateTime('UTC'),
    surface            LowCardinality(String),
    model              LowCardinality(String),
    variant            LowCardinality(String),
    experiment         LowCardinality(String),
    language           LowCardinality(String),
    client             LowCardinality(String),
    client_version     LowCardinality(String),
    client_setting     LowCardinality(String),
    view_kind          LowCardinality(String),
    source             LowCardinality(String),
    trigger            LowCardinality(String),

    version            UInt64,
    settled_at         DateTime64(3, 'UTC'),

    opportunities      UInt64,
    not_produced       UInt64,
    shown              UInt64,
    not_shown          UInt64,
    read               UInt64,
    accepted           UInt64,
    partially_accepted UInt64,
    accepted_modified  UInt64,
    auto_accepted      UInt64,
    rejected           UInt64,
    ignored            UInt64,
    superseded         UInt64,
    cancelled          UInt64,
    undecided          UInt64,
    thumbs_up          UInt64,
    thumbs_down        UInt64,
    shown_chars        UInt64,
    accepted_chars     UInt64,
    -- Element i: interactions shown with TaskResult i + 1.
    task_results       Array(UInt64),
    -- One element per delay 0, 5, 30, 120, 300, 600, 900 s. Interactions measured,
    -- characters retained, characters retained at delay 0 by the same ones.
    retention_count    Array(UInt64),
    retained_chars     Array(UInt64),
    base_chars         Array(UInt64),
    -- Sum of four-gram survival in 1/10000, and how many it is the sum of.
    four_gram_sum      Array(UInt64),
    four_gram_count    Array(UInt64),
    -- Histogram of the time from request to shown: bucket i counts latencies in
    -- (1.1^(i-1), 1.1^i] microseconds.
    latency            Map(UInt16, UInt64)
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, bucket, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger);

-- 0008_rates, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS rates ON CLUSTER `events` AS rates_local
ENGINE = Distributed('events', 'flywheel', 'rates_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0009_interaction_sequences, 1 of 2, on every server
ALTER TABLE interactions_local ON CLUSTER `events`
    ADD COLUMN IF NOT EXISTS generated_sequence SimpleAggregateFunction(max, UInt64) AFTER generated_at,
    ADD COLUMN IF NOT EXISTS shown_sequence SimpleAggregateFunction(max, UInt64) AFTER shown_at,
    ADD COLUMN IF NOT EXISTS ended_sequence SimpleAggregateFunction(max, UInt64) AFTER outcome_rank;

-- 0009_interaction_sequences, 2 of 2, on every server
ALTER TABLE interactions ON CLUSTER `events`
    ADD COLUMN IF NOT EXISTS generated_sequence SimpleAggregateFunction(max, UInt64) AFTER generated_at,
    ADD COLUMN IF NOT EXISTS shown_sequence SimpleAggregateFunction(max, UInt64) AFTER shown_at,
    ADD COLUMN IF NOT EXISTS ended_sequence SimpleAggregateFunction(max, UInt64) AFTER outcome_rank;

-- 0010_opportunity_sequence, 1 of 2, on every server
ALTER TABLE opportunities_local ON CLUSTER `events`
    ADD COLUMN IF NOT EXISTS requested_sequence SimpleAggregateFunction(max, UInt64) AFTER requested_at;

-- 0010_opportunity_sequence, 2 of 2, on every server
ALTER TABLE opportunities ON CLUSTER `events`
    ADD COLUMN IF NOT EXISTS requested_sequence SimpleAggregateFunction(max, UInt64) AFTER requested_at;

-- 0011_definitions, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS definitions_local ON CLUSTER `events`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY definition;

-- 0011_definitions, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS definitions ON CLUSTER `events` AS definitions_local
ENGINE = Distributed('events', 'flywheel', 'definitions_local', cityHash64(definition))
COMMENT 'cluster events, shards of weight 1 2';

-- 0012_definition_1, 1 of 1, on one server
INSERT INTO definitions
SELECT
    1, 'default', toDateTime64('2026-11-23 00:00:00', 3, 'UTC'), 'Acceptance, retention, feedback and task outcome.',
    3600, 0, 2000000,
    3000, 2000, 3000, -4000, -3000,
    4000, [0, 1, 1, 2, 2, 2, 4], 2000,
    3000, 3000,
    [2000, -2000, 500, -1000, 1000, 2000, -6000, 3000, -3000];

-- 0013_training_signals, 1 of 1, on every server
CREATE OR REPLACE VIEW training_signals ON CLUSTER `events` AS
SELECT * EXCEPT (last_outcome, was_accepted, raw_retained, raw_four_gram, last_thumb, base_chars, delay_weights, delay_weight)
FROM
(
    SELECT
        d.definition AS definition,
        i.tenant AS tenant,
        i.started_at AS started_at,
        i.interaction_id AS interaction_id,
        i.opportunity_id AS opportunity_id,
        i.session_id AS session_id,
        i.user AS user,
        i.repository AS repository,
        i.surface AS surface,
        i.model AS model,
        i.variant AS variant,
        i.experiment AS experiment,
        i.language AS language,
        i.client AS client,
        i.client_version AS client_version,
        i.client_setting AS client_setting,
        i.view_kind AS view_kind,
        i.source AS source,
        i.trigger AS trigger,
        i.kind AS kind,

        i.shown_at > 0 AS shown,
        bitAnd(i.outcome_rank, 255) AS last_outcome,
        -- A rejection of what was hardly visible is no judgement.
        if(last_outcome = 5 AND i.visible_us > 0 AND i.visible_us < d.min_reject_us, 6, last_outcome) AS outcome,
        CAST(
            outcome,
            'Enum8(\'undecided\' = 0, \'accepted\' = 1, \'partially_accepted\' = 2, \'accepted_modified\' = 3, \'auto_accepted\' = 4, \'rejected\' = 5, \'ignored\' = 6, \'superseded\' = 7, \'cancelled\' = 8)'
        ) AS label,
        if(i.outcome_rank > 0, fromUnixTimestamp64Micro(toInt64(bitAnd(bitShiftRight(i.outcome_rank, 8), bitShiftLeft(toUInt64(1), 54) - 1)), 'UTC'), toDateTime64(0, 6, 'UTC')) AS decided_at,
        i.visible_us AS visible_us,
        i.output_chars AS output_chars,
        i.superseded_by AS superseded_by,

        outcome IN (1, 2, 3) AS was_accepted,
        if(outcome = 1 AND i.accepted_chars = 0, i.output_chars, i.accepted_chars) AS accepted_chars,
        [
            i.retained_chars_0, i.retained_chars_5, i.retained_chars_30, i.retained_chars_120,
            i.retained_chars_300, i.retained_chars_600, i.retained_chars_900
        ] AS raw_retained,
        -- 1 where the delay was measured on the same branch, 0 elsewhere.
        arrayMap((c, n) -> toUInt8(was_accepted AND c > 0 AND NOT bitTest(i.branch_changed, n)), raw_retained, range(7)) AS retention_measured,
        -- Characters retained at each delay; 0 where not measured.
        arrayMap((c, m) -> toUInt32(m * (c - m)), raw_retained, retention_measured) AS retained_chars,
        [
            i.four_gram_0, i.four_gram_5, i.four_gram_30, i.four_gram_120, i.four_gram_300, i.four_gram_600, i.four_gram_900
        ] AS raw_four_gram,
        -- Four-gram survival at each delay; -1 where not measured.
        arrayMap((g, n) -> if(was_accepted AND g > 0 AND NOT bitTest(i.branch_changed, n), (toFloat64(g) - 1) / 10000, -1), raw_four_gram, range(7)) AS four_gram,

        bitAnd(i.thumb_rank, 255) AS last_thumb,
        CAST(last_thumb, 'Enum8(\'\' = 0, \'up\' = 1, \'down\' = 2)') AS thumb,
        if(i.rating_rank > 0, toUInt8(bitAnd(i.rating_rank, 255) - 1), NULL) AS rating,
        arrayFilter((name, n) -> bitTest(i.task_results, n),
            ['tests_passed', 'tests_failed', 'build_passed', 'build_failed', 'committed', 'merged', 'reverted', 'solved', 'not_solved'],
            range(1, 10)) AS task_results,
        i.alternative_at > 0 AS has_alternative,
        i.alternative_no_edit AS alternative_no_edit,
        i.alternative_chars AS alternative_chars,

        -- The parts of the reward, in 1/10000.
        multiIf(
            outcome = 1, toInt64(d.w_accepted),
            outcome = 2, intDiv(d.w_partially_accepted * if(i.output_chars > 0, least(intDiv(toInt64(i.accepted_chars) * 10000, greatest(toInt64(i.output_chars), 1)), 10000), 5000), 10000),
            outcome = 3, toInt64(d.w_accepted_modified),
            outcome = 5, d.w_rejected + intDiv(d.w_rejected_fast * if(i.visible_us > 0 AND i.visible_us < d.fast_reject_us, 10000 - intDiv(toInt64(least(i.visible_us, d.fast_reject_us)) * 10000, greatest(toInt64(d.fast_reject_us), 1)), 0), 10000),
            toInt64(0)
        ) AS outcome_part,
        retained_chars[1] AS base_chars,
        arrayMap((m, w) -> if(base_chars > 0, toInt64(m * w), 0), retention_measured, d.w_delays) AS delay_weights,
        arraySum(delay_weights) AS delay_weight,
        if(
            delay_weight > 0,
            intDiv(
                d.w_retention * (2 * intDiv(arraySum((w, c) -> w * least(intDiv(toInt64(c) * 10000, greatest(toInt64(base_chars), 1)), 10000), delay_weights, retained_chars), greatest(delay_weight, 1)) - 10000),
                10000
            ),
            0
        ) AS retention_part,
        -- What was left at the longest delay that was measured.
        retained_chars[arrayLastIndex(m -> m = 1, retention_measured)] AS kept_chars,
        if(i.output_chars > 0, intDiv(d.w_kept * least(intDiv(toInt64(kept_chars) * 10000, greatest(toInt64(i.output_chars), 1)), 10000), 10000), 0) AS kept_part,
        multiIf(last_thumb = 1, toInt64(d.w_thumb), last_thumb = 2, -toInt64(d.w_thumb), toInt64(0))
            + if(i.rating_rank > 0, intDiv(d.w_rating * (toInt64(bitAnd(i.rating_rank, 255)) - 51), 50), 0) AS feedback_part,
        arraySum((w, n) -> if(bitTest(i.task_results, n), toInt64(w), 0), d.w_task_results, range(1, 10)) AS task_part,
        greatest(least(outcome_part + retention_part + kept_part + feedback_part + task_part, 10000), -10000) AS reward_e4,
        reward_e4 / 10000 AS reward,

        i.started_at + toIntervalSecond(d.window_s) AS settles_at,
        settles_at <= now64(3) AS settled
    FROM interactions AS i FINAL
    CROSS JOIN definitions AS d FINAL
)
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- 0014_rates_counts, 1 of 2, on every server
ALTER TABLE rates_local ON CLUSTER `events` ADD COLUMN IF NOT EXISTS counts Array(UInt64) MATERIALIZED arrayConcat(
    [
        opportunities, not_produced, shown, not_shown, read, accepted, partially_accepted, accepted_modified, auto_accepted,
        rejected, ignored, superseded, cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars
    ],
    arrayResize(task_results, 9),
    arrayResize(retention_count, 7), arrayResize(retained_chars, 7), arrayResize(base_chars, 7),
    arrayResize(four_gram_sum, 7), arrayResize(four_gram_count, 7)
);

-- 0014_rates_counts, 2 of 2, on every server
ALTER TABLE rates ON CLUSTER `events` ADD COLUMN IF NOT EXISTS counts Array(UInt64) MATERIALIZED arrayConcat(
    [
        opportunities, not_produced, shown, not_shown, read, accepted, partially_accepted, accepted_modified, auto_accepted,
        rejected, ignored, superseded, cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars
    ],
    arrayResize(task_results, 9),
    arrayResize(retention_count, 7), arrayResize(retained_chars, 7), arrayResize(base_chars, 7),
    arrayResize(four_gram_sum, 7), arrayResize(four_gram_count, 7)
);

-- 0015_rate_hours, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS rate_hours_local ON CLUSTER `events`
AS rates_local
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
PARTITION BY toYear(bucket)
ORDER BY (tenant, bucket, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger);

-- 0015_rate_hours, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS rate_hours ON CLUSTER `events` AS rate_hours_local
ENGINE = Distributed('events', 'flywheel', 'rate_hours_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0016_rate_days, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS rate_days_local ON CLUSTER `events`
AS rates_local
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
PARTITION BY toYear(bucket)
ORDER BY (tenant, bucket, surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger);

-- 0016_rate_days, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS rate_days ON CLUSTER `events` AS rate_days_local
ENGINE = Distributed('events', 'flywheel', 'rate_days_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0017_settled_rollups, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS settled_rollups_local ON CLUSTER `events`
(
    kind       LowCardinality(String),
    tenant     String,
    bucket     DateTime('UTC'),
    version    UInt64,
    settled_at DateTime64(3, 'UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
ORDER BY (kind, tenant, bucket);

-- 0017_settled_rollups, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS settled_rollups ON CLUSTER `events` AS settled_rollups_local
ENGINE = Distributed('events', 'flywheel', 'settled_rollups_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0018_user_rate_hours, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS user_rate_hours_local ON CLUSTER `events`
(
    tenant             String,
    bucket             DateTime('UTC'),
    experiment         LowCardinality(String),
    variant            LowCardinality(String),
    user               String,

    version            UInt64,
    settled_at         DateTime64(3, 'UTC'),

    opportunities      UInt64,
    not_produced       UInt64,
    shown              UInt64,
    not_shown          UInt64,
    read               UInt64,
    accepted           UInt64,
    partially_accepted UInt64,
    accepted_modified  UInt64,
    auto_accepted      UInt64,
    rejected           UInt64,
    ignored            UInt64,
    superseded         UInt64,
    cancelled          UInt64,
    undecided          UInt64,
    thumbs_up          UInt64,
    thumbs_down        UInt64,
    shown_chars        UInt64,
    accepted_chars     UInt64,
    -- As in rates.
    retention_count    Array(UInt64),
    retained_chars     Array(UInt64),
    base_chars         Array(UInt64)
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)
PARTITION BY toYYYYMM(bucket)
ORDER BY (tenant, bucket, experiment, variant, user);

-- 0018_user_rate_hours, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS user_rate_hours ON CLUSTER `events` AS user_rate_hours_local
ENGINE = Distributed('events', 'flywheel', 'user_rate_hours_local', cityHash64(tenant, bucket))
COMMENT 'cluster events, shards of weight 1 2';

-- 0019_user_rates, 1 of 1, on every server
CREATE OR REPLACE VIEW user_rates ON CLUSTER `events` AS
SELECT
    tenant,
    toDate(bucket) AS day,
    experiment,
    variant,
    user,
    sum(opportunities) AS opportunities,
    sum(not_produced) AS not_produced,
    sum(shown) AS shown,
    sum(not_shown) AS not_shown,
    sum(read) AS read,
    sum(accepted) AS accepted,
    sum(partially_accepted) AS partially_accepted,
    sum(accepted_modified) AS accepted_modified,
    sum(auto_accepted) AS auto_accepted,
    sum(rejected) AS rejected,
    sum(ignored) AS ignored,
    sum(superseded) AS superseded,
    sum(cancelled) AS cancelled,
    sum(undecided) AS undecided,
    sum(thumbs_up) AS thumbs_up,
    sum(thumbs_down) AS thumbs_down,
    sum(shown_chars) AS shown_chars,
    sum(accepted_chars) AS accepted_chars,
    sumForEach(retention_count) AS retention_count,
    sumForEach(retained_chars) AS retained_chars,
    sumForEach(base_chars) AS base_chars
FROM user_rate_hours FINAL
GROUP BY tenant, day, experiment, variant, user
HAVING opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- 0020_models, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS models_local ON CLUSTER `events`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', revision)
ORDER BY (tenant, model);

-- 0020_models, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS models ON CLUSTER `events` AS models_local
ENGINE = Distributed('events', 'flywheel', 'models_local', cityHash64(tenant, model))
COMMENT 'cluster events, shards of weight 1 2';

-- 0021_ages, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS ages_local ON CLUSTER `events`
(
    name          String,
    changed_at    DateTime64(6, 'UTC'),
    days          UInt32,
    frozen_before DateTime('UTC')
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', changed_at)
ORDER BY name;

-- 0021_ages, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS ages ON CLUSTER `events` AS ages_local
ENGINE = Distributed('events', 'flywheel', 'ages_local', cityHash64(name))
COMMENT 'cluster events, shards of weight 1 2';

-- 0022_frozen, 1 of 1, on every server
CREATE OR REPLACE VIEW frozen ON CLUSTER `events` AS
SELECT
    name,
    greatest(frozen_before, if(days > 0, toStartOfDay(now('UTC')) - toIntervalDay(days - 1), toDateTime(0, 'UTC'))) AS before
FROM ages FINAL;

-- 0023_interaction_moments, 1 of 1, on every server
CREATE OR REPLACE VIEW interaction_moments ON CLUSTER `events` AS
SELECT
    i.tenant AS tenant,
    i.started_at AS started_at,
    i.interaction_id AS interaction_id,
    i.opportunity_id AS opportunity_id,
    i.session_id AS session_id,
    UUIDv7ToDateTime(i.session_id, 'UTC') AS session_started_at,
    multiIf(o.requested_sequence > 0, o.requested_sequence, i.generated_sequence > 0, i.generated_sequence, i.shown_sequence) AS sequence,
    multiIf(o.requested_at > 0, o.requested_at, i.generated_at > 0, i.generated_at, i.shown_at > 0, i.shown_at, toDateTime64(i.started_at, 6, 'UTC')) AS time,
    i.ended_sequence AS ended_sequence,
    if(i.outcome_rank > 0,
        fromUnixTimestamp64Micro(toInt64(bitAnd(bitShiftRight(i.outcome_rank, 8), bitShiftLeft(toUInt64(1), 54) - 1)), 'UTC'),
        greatest(i.shown_at, time)) AS ended_at
FROM
(
    SELECT * FROM interactions FINAL
    WHERE tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS i
LEFT JOIN
(
    SELECT opportunity_id, requested_sequence, requested_at FROM opportunities FINAL
    WHERE tenant = {tenant:String}
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 1 DAY AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
) AS o ON o.opportunity_id = i.opportunity_id
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- 0024_interaction_edits, 1 of 1, on every server
CREATE OR REPLACE VIEW interaction_edits ON CLUSTER `events` AS
WITH
    moments AS
    (
        SELECT * FROM interaction_moments(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64})
    ),
    numbered AS
    (
        SELECT
            session_id, sequence, time, event_id, document, version, offset, removed_length, inserted_length, source, interaction_id, consent, text,
            toInt64(row_number() OVER (PARTITION BY session_id ORDER BY sequence, time, event_id)) AS n
        FROM edits FINAL
        WHERE tenant = {tenant:String}
            AND (session_started_at, session_id) IN (SELECT session_started_at, session_id FROM moments)
    ),
    -- How many edits of its session come before each moment, and before its end.
    placed AS
    (
        SELECT session_id, interaction_id, kind, place
        FROM
        (
            SELECT
                session_id, interaction_id, kind,
                toInt64(sum(kind = 0) OVER (PARTITION BY session_id ORDER BY sequence, time, kind ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS place
            FROM
            (
                SELECT session_id, interaction_id, 0 AS kind, sequence, time FROM numbered
                UNION ALL
                SELECT session_id, interaction_id, 1, sequence, time FROM moments
                UNION ALL
                SELECT session_id, interaction_id, 2, greatest(ended_sequence, sequence), ended_at FROM moments
            )
        )
        WHERE kind > 0
    ),
    wanted AS
    (
        SELECT session_id, interaction_id, kind, place, toInt64(arrayJoin(range(1, {edits:UInt32} + 1))) AS k
        FROM placed
    )
SELECT
    m.tenant AS tenant,
    m.started_at AS started_at,
    m.interaction_id AS interaction_id,
    m.session_id AS session_id,
    if(w.kind = 1, -w.k, w.k) AS position,
    e.sequence AS sequence,
    e.time AS time,
    e.document AS document,
    e.version AS version,
    e.offset AS offset,
    e.removed_length AS removed_length,
    e.inserted_length AS inserted_length,
    e.source AS source,
    -- The interaction whose output the edit applied.
    e.interaction_id AS applied,
    e.consent AS consent,
    e.text AS text
FROM wanted AS w
INNER JOIN numbered AS e ON e.session_id = w.session_id AND e.n = if(w.kind = 1, w.place + 1 - w.k, w.place + w.k)
INNER JOIN moments AS m ON m.session_id = w.session_id AND m.interaction_id = w.interaction_id
WHERE if(w.kind = 1, e.time >= m.time - toIntervalSecond({before_s:UInt32}), e.time <= m.ended_at + toIntervalSecond({after_s:UInt32}))
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- 0025_trajectories, 1 of 1, on every server
CREATE OR REPLACE VIEW trajectories ON CLUSTER `events` AS
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
SETTINGS do_not_merge_across_partitions_select_final = 1, optimize_aggregation_in_order = 1;

-- 0026_preference_pairs, 1 of 1, on every server
CREATE OR REPLACE VIEW preference_pairs ON CLUSTER `events` AS
WITH
    judged AS
    (
        SELECT
            definition, tenant, started_at, interaction_id, opportunity_id, session_id, user, repository, surface, model, variant, experiment, language,
            label, reward, settles_at, settled, has_alternative, alternative_no_edit
        FROM training_signals
        WHERE definition = {definition:UInt32} AND tenant = {tenant:String} AND shown
            AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 1 HOUR
            AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}) + INTERVAL 1 HOUR
    ),
    texts AS
    (
        SELECT id, consents, prompt, output, final_text, alternative, correction FROM content FINAL
        WHERE tenant = {tenant:String}
            AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 25 HOUR
            AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}) + INTERVAL 1 HOUR
    ),
    signals AS
    (
        SELECT
            j.*, t.output AS output, t.final_text AS final_text, t.alternative AS alternative, t.correction AS correction,
            if(t.prompt != '', t.prompt, o.prompt) AS prompt,
            bitOr(t.consents, o.consents) AS consents
        FROM judged AS j
        INNER JOIN texts AS t ON t.id = j.interaction_id
        LEFT JOIN texts AS o ON o.id = j.opportunity_id
    ),
    pairs AS
    (
        SELECT
            r.*, 'opportunity' AS origin, c.interaction_id AS chosen_interaction_id,
            if(c.label = 'accepted_modified' AND c.final_text != '', c.final_text, c.output) AS chosen,
            toUInt8(0) AS no_edit, c.reward - r.reward AS margin, c.consents AS chosen_consents, c.settled AS chosen_settled
        FROM signals AS r
        INNER JOIN signals AS c ON c.opportunity_id = r.opportunity_id
        WHERE r.label = 'rejected' AND c.label IN ('accepted', 'partially_accepted', 'accepted_modified')
            AND r.opportunity_id != toUUID('00000000-0000-0000-0000-000000000000')

        UNION ALL

        SELECT *, 'alternative', toUUID('00000000-0000-0000-0000-000000000000'), alternative, alternative_no_edit, 0, 0, 1
        FROM signals
        WHERE label = 'rejected' AND has_alternative AND (alternative != '' OR alternative_no_edit)

        UNION ALL

        SELECT *, 'modified', toUUID('00000000-0000-0000-0000-000000000000'), final_text, 0, 0, 0, 1
        FROM signals
        WHERE label = 'accepted_modified' AND final_text != ''

        UNION ALL

        SELECT *, 'correction', toUUID('00000000-0000-0000-0000-000000000000'), correction, 0, 0, 0, 1
        FROM signals
        WHERE correction != ''
    )
SELECT
    definition, tenant, started_at, opportunity_id, session_id, user, repository, surface, model, variant, experiment, language,
    origin, chosen_interaction_id, interaction_id AS rejected_interaction_id,
    prompt, chosen, output AS rejected, no_edit,
    -- Difference of the rewards; 0 where the better text is no interaction.
    margin,
    -- Bit i: some of the texts came with Consent i.
    bitOr(consents, chosen_consents) AS consents,
    settles_at, settled AND chosen_settled AS settled
FROM pairs
WHERE started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    AND chosen != rejected;

-- 0027_training_sets, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS training_sets_local ON CLUSTER `events`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', revision)
ORDER BY (tenant, training_set_id);

-- 0027_training_sets, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS training_sets ON CLUSTER `events` AS training_sets_local
ENGINE = Distributed('events', 'flywheel', 'training_sets_local', cityHash64(tenant, training_set_id))
COMMENT 'cluster events, shards of weight 1 2';

-- 0028_evaluations, 1 of 2, on every server
CREATE TABLE IF NOT EXISTS evaluations_local ON CLUSTER `events`
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
ORDER BY (tenant, model, evaluated_at, training_set_id, split);

-- 0028_evaluations, 2 of 2, on every server
CREATE TABLE IF NOT EXISTS evaluations ON CLUSTER `events` AS evaluations_local
ENGINE = Distributed('events', 'flywheel', 'evaluations_local', cityHash64(tenant, model))
COMMENT 'cluster events, shards of weight 1 2';

-- 0029_interaction_edits_of_clusters, 1 of 1, on every server
CREATE OR REPLACE VIEW interaction_edits ON CLUSTER `events` AS
WITH
    moments AS
    (
        SELECT * FROM interaction_moments(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64})
    ),
    numbered AS
    (
        SELECT
            session_id, sequence, time, event_id, document, version, offset, removed_length, inserted_length, source, interaction_id, consent, text,
            toInt64(row_number() OVER (PARTITION BY session_id ORDER BY sequence, time, event_id)) AS n
        FROM edits FINAL
        WHERE tenant = {tenant:String}
            AND (session_started_at, session_id) IN
            (
                SELECT UUIDv7ToDateTime(session_id, 'UTC'), session_id FROM interactions
                WHERE tenant = {tenant:String}
                    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
            )
    ),
    -- How many edits of its session come before each moment, and before its end.
    placed AS
    (
        SELECT session_id, interaction_id, kind, place
        FROM
        (
            SELECT
                session_id, interaction_id, kind,
                toInt64(sum(kind = 0) OVER (PARTITION BY session_id ORDER BY sequence, time, kind ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS place
            FROM
            (
                SELECT session_id, interaction_id, 0 AS kind, sequence, time FROM numbered
                UNION ALL
                SELECT session_id, interaction_id, 1, sequence, time FROM moments
                UNION ALL
                SELECT session_id, interaction_id, 2, greatest(ended_sequence, sequence), ended_at FROM moments
            )
        )
        WHERE kind > 0
    ),
    wanted AS
    (
        SELECT session_id, interaction_id, kind, place, toInt64(arrayJoin(range(1, {edits:UInt32} + 1))) AS k
        FROM placed
    )
SELECT
    m.tenant AS tenant,
    m.started_at AS started_at,
    m.interaction_id AS interaction_id,
    m.session_id AS session_id,
    if(w.kind = 1, -w.k, w.k) AS position,
    e.sequence AS sequence,
    e.time AS time,
    e.document AS document,
    e.version AS version,
    e.offset AS offset,
    e.removed_length AS removed_length,
    e.inserted_length AS inserted_length,
    e.source AS source,
    -- The interaction whose output the edit applied.
    e.interaction_id AS applied,
    e.consent AS consent,
    e.text AS text
FROM wanted AS w
INNER JOIN numbered AS e ON e.session_id = w.session_id AND e.n = if(w.kind = 1, w.place + 1 - w.k, w.place + w.k)
INNER JOIN moments AS m ON m.session_id = w.session_id AND m.interaction_id = w.interaction_id
WHERE if(w.kind = 1, e.time >= m.time - toIntervalSecond({before_s:UInt32}), e.time <= m.ended_at + toIntervalSecond({after_s:UInt32}))
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- 0030_merges_of_edits, 1 of 1, on every server
ALTER TABLE edits_local ON CLUSTER `events` MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728;

-- 0031_merges_of_steps, 1 of 1, on every server
ALTER TABLE steps_local ON CLUSTER `events` MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728;

-- 0032_merges_of_content, 1 of 1, on every server
ALTER TABLE content_local ON CLUSTER `events` MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728;

-- 0033_merges_of_interactions, 1 of 1, on every server
ALTER TABLE interactions_local ON CLUSTER `events` MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728;

-- 0034_merges_of_opportunities, 1 of 1, on every server
ALTER TABLE opportunities_local ON CLUSTER `events` MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728;

