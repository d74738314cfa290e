-- Two arms of an experiment: for each, and for the users who met both, how many users
-- there are and what their numerators x and denominators y add up to, with squares and
-- products. The order of the metrics is that in compare.go.
--
-- Users without a name are no unit, and left out. Parameters: tenant, start, end (Unix
-- seconds), any_experiment, experiment, baseline, candidate.
SELECT
    arm,
    count(),
    sumForEach(x), sumForEach(y),
    sumForEach(arrayMap(v -> v * v, x)),
    sumForEach(arrayMap((v, w) -> v * w, x, y)),
    sumForEach(arrayMap(w -> w * w, y))
FROM
(
    SELECT
        user,
        multiIf(uniqExact(variant) > 1, 'both', any(variant) = {candidate:String}, 'candidate', 'baseline') AS arm,
        arrayMap(v -> toFloat64(v), [
            sum(accepted + partially_accepted + accepted_modified), sum(rejected), sum(ignored),
            sum(accepted_chars), sum(accepted_chars), sum(retained_chars[3])
        ]) AS x,
        arrayMap(v -> toFloat64(v), [
            sum(shown), sum(shown), sum(shown),
            sum(shown), sum(opportunities), sum(base_chars[3])
        ]) AS y
    FROM user_rate_hours FINAL
    WHERE tenant = {tenant:String}
        AND bucket >= toDateTime({start:UInt32}, 'UTC') AND bucket < toDateTime({end:UInt32}, 'UTC')
        AND ({any_experiment:Bool} OR experiment = {experiment:String})
        AND variant IN ({baseline:String}, {candidate:String})
        AND user != ''
        AND opportunities + shown > 0
    GROUP BY user
)
GROUP BY arm
SETTINGS do_not_merge_across_partitions_select_final = 1
