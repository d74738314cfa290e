-- How two definitions judge the same interactions, per model and pair of labels:
-- counts, and the sums that means and correlations are made of, in 1/10000 and squares
-- of that. A template: the names of columns come from the closed set of dimensions,
-- values are parameters.
--
-- Parameters: tenant; a and b, the definitions; from_ms and to_ms, Unix milliseconds;
-- max_rows; values_0, values_1 and so on, the values of each filter.
SELECT
    model, label_a, label_b,
    count(), countIf(settled_a), countIf(settled_b),
    sum(reward_a), sum(reward_b), sum(reward_a * reward_a), sum(reward_b * reward_b), sum(reward_a * reward_b)
FROM
(
    SELECT
        model,
        toUInt8(maxIf(outcome, definition = {a:UInt32})) AS label_a,
        toUInt8(maxIf(outcome, definition = {b:UInt32})) AS label_b,
        maxIf(settled, definition = {a:UInt32}) AS settled_a,
        maxIf(settled, definition = {b:UInt32}) AS settled_b,
        toInt64(sumIf(reward_e4, definition = {a:UInt32})) AS reward_a,
        toInt64(sumIf(reward_e4, definition = {b:UInt32})) AS reward_b
    FROM training_signals
    WHERE tenant = {tenant:String}
        AND definition IN ({a:UInt32}, {b:UInt32})
        AND shown
        AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}, 'UTC')
        AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}, 'UTC')
{{- range .}}
        AND {{.Column}} IN {{.Values}}
{{- end}}
    GROUP BY started_at, interaction_id, model
)
GROUP BY model, label_a, label_b
ORDER BY model, label_a, label_b
LIMIT {max_rows:UInt64}
