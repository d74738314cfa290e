-- Each interaction's label and reward under each definition. docs/signals.md says
-- what they mean; processor/signal/definition.go computes the same in Go, and
-- 'flywheel verify' compares the two.
--
-- Rewards are whole numbers of 1/10000 until the last step: divisions cut off towards
-- zero, so that every machine and both languages get the same.
CREATE VIEW training_signals AS
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
SETTINGS do_not_merge_across_partitions_select_final = 1
