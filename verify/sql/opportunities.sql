-- The partial rows of opportunities as they are stored, as in interactions.sql.
SELECT formatRow('RowBinary',
    tenant, started_at, opportunity_id,
    surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger,
    user,
    requested_at, not_produced_at)
FROM opportunities
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
ORDER BY tenant, started_at, opportunity_id
