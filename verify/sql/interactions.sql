-- The partial rows of interactions as they are stored, those of one interaction after
-- each other.
--
-- Parameters, as in all statements on a part of a day: the tenants first to last;
-- from and to in Unix seconds.
SELECT formatRow('RowBinary',
    tenant, started_at, interaction_id,
    surface, model, variant, experiment, language, client, client_version, client_setting, view_kind, source, trigger,
    user,
    output_chars, shown_at, shown_latency_us, not_shown_at, visible_us, outcome_rank, accepted_chars,
    retained_chars_0, retained_chars_5, retained_chars_30, retained_chars_120, retained_chars_300, retained_chars_600, retained_chars_900,
    four_gram_0, four_gram_5, four_gram_30, four_gram_120, four_gram_300, four_gram_600, four_gram_900,
    branch_changed, thumb_rank, rating_rank, task_results)
FROM interactions
WHERE tenant >= {first:String} AND tenant <= {last:String}
    AND started_at >= toDateTime({from:Int64}, 'UTC') AND started_at < toDateTime({to:Int64}, 'UTC')
ORDER BY tenant, started_at, interaction_id
