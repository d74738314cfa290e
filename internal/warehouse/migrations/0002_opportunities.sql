-- One row per opportunity once merged, by the same rules as interactions.
CREATE TABLE opportunities
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
ENGINE = AggregatingMergeTree
PARTITION BY toDate(started_at)
ORDER BY (tenant, started_at, opportunity_id)
