-- Counts per user, day (UTC) and arm of an experiment: one row per unit of
-- randomisation, whose sums, squares and products give the variance of a ratio metric
-- (Deng, Knoblich, Lu 2018).
CREATE VIEW user_rates AS
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
SETTINGS do_not_merge_across_partitions_select_final = 1
