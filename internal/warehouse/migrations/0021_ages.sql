-- For how many days each table keeps its rows (0: for ever), as warehouse.Retain set it,
-- and what earlier settings may have dropped: it stays frozen when the setting grows.
CREATE TABLE ages
(
    name          String,
    changed_at    DateTime64(6, 'UTC'),
    days          UInt32,
    frozen_before DateTime('UTC')
)
ENGINE = ReplacingMergeTree(changed_at)
ORDER BY name
