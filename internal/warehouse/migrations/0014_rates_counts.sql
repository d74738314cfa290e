-- All counts of a row in one array, which reports read: most of the time that a report
-- of a few thousand rows takes is per column. In the order of the columns, from
-- opportunities to accepted_chars; then task_results, and retention_count,
-- retained_chars, base_chars, four_gram_sum and four_gram_count with seven delays each.
-- Tables that are made like this one have it too.
ALTER TABLE rates ADD COLUMN counts Array(UInt64) MATERIALIZED arrayConcat(
    [
        opportunities, not_produced, shown, not_shown, read, accepted, partially_accepted, accepted_modified, auto_accepted,
        rejected, ignored, superseded, cancelled, undecided, thumbs_up, thumbs_down, shown_chars, accepted_chars
    ],
    arrayResize(task_results, 9),
    arrayResize(retention_count, 7), arrayResize(retained_chars, 7), arrayResize(base_chars, 7),
    arrayResize(four_gram_sum, 7), arrayResize(four_gram_count, 7)
)
