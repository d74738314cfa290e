-- The text of interactions and opportunities, apart from their metadata. id is an
-- interaction_id or an opportunity_id, started_at the timestamp inside it.
CREATE TABLE content
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
ENGINE = AggregatingMergeTree
PARTITION BY toDate(started_at)
ORDER BY (tenant, started_at, id)
