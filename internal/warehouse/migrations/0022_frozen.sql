-- The time before which rows of a table may be gone by now or within a day. What is made
-- of older ones is not made again. Rows of a day are dropped a day after they froze.
CREATE VIEW frozen AS
SELECT
    name,
    greatest(frozen_before, if(days > 0, toStartOfDay(now('UTC')) - toIntervalDay(days - 1), toDateTime(0, 'UTC'))) AS before
FROM ages FINAL
