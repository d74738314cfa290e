-- Recounts buckets of {{.Name}}, whole, as a new version of each.
--
-- Buckets whose interactions may have expired are left as they are.
--
-- A template of a table (settler_tables.go), so that what counts is the same in all of
-- them. Parameters: tenants, starts and versions, element by element: a tenant's bucket
-- and what its touches added up to before this statement began; min_read_us and
-- min_reject_us.
--
-- Outcomes (Outcome in event.proto): 0 undecided, 1 accepted, 2 partially accepted,
-- 3 accepted modified, 4 auto accepted, 5 rejected, 6 ignored, 7 superseded,
-- 8 cancelled. Thumbs: 1 up, 2 down.
INSERT INTO {{.Name}}
(
    tenant, bucket,
    {{.Group}},
    version, settled_at,
    opportunities, not_produced, shown, not_shown, read, accepted,
    partially_accepted, accepted_modified, auto_accepted, rejected, ignored, superseded,
    cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars,
    retention_count, retained_chars, base_chars
    {{- if .Details}},
    task_results, four_gram_sum, four_gram_count, latency
    {{- end}}
)
SELECT
    tenant, start,
    {{.Group}},
    {versions:Array(UInt64)}[indexOf(arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))}), (tenant, start))],
    now64(3),
    sum(n_opportunities), sum(n_not_produced), sum(n_shown), sum(n_not_shown),
    sum(n_read), sum(n_accepted), sum(n_partially_accepted), sum(n_accepted_modified),
    sum(n_auto_accepted), sum(n_rejected), sum(n_ignored), sum(n_superseded),
    sum(n_cancelled), sum(n_undecided), sum(n_thumbs_up), sum(n_thumbs_down),
    sum(n_shown_chars), sum(n_accepted_chars),
    sumForEach(n_retention_count), sumForEach(n_retained_chars), sumForEach(n_base_chars)
    {{- if .Details}},
    sumForEach(n_task_results), sumForEach(n_four_gram_sum), sumForEach(n_four_gram_count),
    sumMap(n_latency)
    {{- end}}
FROM
(
    -- Every combination that interactions count in.
    SELECT
        tenant, start,
        {{.Group}},
        toUInt64(0) AS n_opportunities,
        toUInt64(0) AS n_not_produced,
        countIf(was_shown) AS n_shown,
        countIf(was_withheld) AS n_not_shown,
        countIf(was_shown AND visible_us >= {min_read_us:UInt64}) AS n_read,
        countIf(was_shown AND outcome = 1) AS n_accepted,
        countIf(was_shown AND outcome = 2) AS n_partially_accepted,
        countIf(was_shown AND outcome = 3) AS n_accepted_modified,
        countIf(outcome = 4) AS n_auto_accepted,
        countIf(was_shown AND outcome = 5) AS n_rejected,
        countIf(was_shown AND outcome = 6) AS n_ignored,
        countIf(was_shown AND outcome = 7) AS n_superseded,
        countIf(was_shown AND outcome = 8) AS n_cancelled,
        countIf(was_shown AND outcome = 0) AS n_undecided,
        countIf(outcome != 4 AND thumb = 1) AS n_thumbs_up,
        countIf(outcome != 4 AND thumb = 2) AS n_thumbs_down,
        sumIf(output_chars, was_shown) AS n_shown_chars,
        sumIf(if(outcome = 1 AND accepted_chars = 0, output_chars, accepted_chars), was_accepted) AS n_accepted_chars,
        sumForEachIf(kept, has_base) AS n_retention_count,
        sumForEachIf(arrayMap((k, c) -> k * (c - 1), kept, chars), has_base)::Array(UInt64) AS n_retained_chars,
        sumForEachIf(arrayMap(k -> k * (retained_chars_0 - 1), kept), has_base)::Array(UInt64) AS n_base_chars
        {{- if .Details}},
        sumForEachIf(results, was_shown AND task_results > 0) AS n_task_results,
        sumForEachIf(arrayMap((k, g) -> k * (g - 1), kept_grams, grams), was_accepted)::Array(UInt64) AS n_four_gram_sum,
        sumForEachIf(kept_grams, was_accepted) AS n_four_gram_count,
        sumMapIf(map(toUInt16(ceil(log(greatest(shown_latency_us, 1)) / log(1.1))), toUInt64(1)), was_shown AND shown_latency_us > 0) AS n_latency
        {{- end}}
    FROM
    (
        SELECT
            *,
            {{.Start}}(started_at) AS start,
            bitAnd(thumb_rank, 255) AS thumb,
            bitAnd(outcome_rank, 255) AS last_outcome,
            -- A rejection of what was hardly visible is no judgement.
            if(last_outcome = 5 AND visible_us > 0 AND visible_us < {min_reject_us:UInt64}, 6, last_outcome) AS outcome,
            outcome != 4 AND shown_at > 0 AS was_shown,
            outcome != 4 AND shown_at = 0 AND not_shown_at > 0 AS was_withheld,
            was_shown AND outcome IN (1, 2, 3) AS was_accepted,
            -- What was kept is compared with what was there at delay 0.
            was_accepted AND retained_chars_0 > 0 AND NOT bitTest(branch_changed, 0) AS has_base,
            [
                retained_chars_0, retained_chars_5, retained_chars_30, retained_chars_120,
                retained_chars_300, retained_chars_600, retained_chars_900
            ] AS chars,
            [four_gram_0, four_gram_5, four_gram_30, four_gram_120, four_gram_300, four_gram_600, four_gram_900] AS grams,
            -- 1 where the delay was measured on the same branch, 0 elsewhere.
            arrayMap((c, i) -> toUInt8(c > 0 AND NOT bitTest(branch_changed, i)), chars, range(7)) AS kept,
            arrayMap((g, i) -> toUInt8(g > 0 AND NOT bitTest(branch_changed, i)), grams, range(7)) AS kept_grams,
            arrayMap(i -> toUInt8(bitTest(task_results, i)), range(1, 10)) AS results
        FROM interactions FINAL
        WHERE (tenant, {{.Start}}(started_at)) IN arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))})
    )
    GROUP BY tenant, start, {{.Group}}
    HAVING n_shown + n_not_shown + n_auto_accepted + n_thumbs_up + n_thumbs_down > 0

    UNION ALL

    -- Every combination that opportunities count in.
    SELECT
        tenant, {{.Start}}(started_at) AS start,
        {{.Group}},
        count(),
        countIf(not_produced_at > 0),
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        emptyArrayUInt64(), emptyArrayUInt64(), emptyArrayUInt64()
        {{- if .Details}},
        emptyArrayUInt64(), emptyArrayUInt64(), emptyArrayUInt64(),
        CAST(map(), 'Map(UInt16, UInt64)')
        {{- end}}
    FROM opportunities FINAL
    WHERE (tenant, {{.Start}}(started_at)) IN arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))})
        AND requested_at > 0
    GROUP BY tenant, start, {{.Group}}

    UNION ALL

    -- Every combination that counted before, so that one that has vanished is
    -- overwritten with zeroes.
    SELECT
        tenant, bucket,
        {{.Group}},
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        emptyArrayUInt64(), emptyArrayUInt64(), emptyArrayUInt64()
        {{- if .Details}},
        emptyArrayUInt64(), emptyArrayUInt64(), emptyArrayUInt64(),
        CAST(map(), 'Map(UInt16, UInt64)')
        {{- end}}
    FROM {{.Name}} FINAL
    WHERE (tenant, bucket) IN arrayZip({tenants:Array(String)}, {starts:Array(DateTime('UTC'))})
        AND opportunities + shown + not_shown + auto_accepted + thumbs_up + thumbs_down > 0
)
WHERE start >= (SELECT max(before) FROM frozen WHERE name IN ({{.Sources}}))
GROUP BY tenant, start, {{.Group}}
SETTINGS do_not_merge_across_partitions_select_final = 1{{if .Threads}}, max_threads = {{.Threads}}{{end}}
