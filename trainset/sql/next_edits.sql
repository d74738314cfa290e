-- The chosen signals and what is needed of their texts, for next_edit: the edits
-- themselves are found in the sessions.
WITH
    judged AS ({{template "judged" .}}),
    texts AS ({{template "texts" .}})
SELECT
    j.interaction_id AS interaction_id,
    CAST(j.session_id, 'UUID') AS session_id,
    UUIDv7ToDateTime(CAST(j.session_id, 'UUID'), 'UTC') AS session_started_at,
    toString(j.surface) AS surface,
    j.language AS language,
    t.output AS output,
    t.consents AS consents,
    j.accepted_chars AS accepted_chars,
    {{template "row" .}}
FROM judged AS j
LEFT JOIN (SELECT * FROM texts WHERE id IN (SELECT interaction_id FROM judged)) AS t ON t.id = j.interaction_id
