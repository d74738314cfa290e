-- Labels and rewards under the given definitions, in the order of interactions.sql.
--
-- Parameters: definitions, and as in interactions.sql.
SELECT formatRow('RowBinary',
    tenant, started_at, interaction_id, definition,
    toInt64(label), toInt64(outcome_part), toInt64(retention_part), toInt64(kept_part), toInt64(feedback_part), toInt64(task_part),
    toInt64(reward_e4), reward)
FROM training_signals
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
    AND definition IN {definitions:Array(UInt32)}
ORDER BY tenant, started_at, interaction_id, definition
