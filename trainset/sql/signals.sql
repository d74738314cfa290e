-- The signals themselves, without text: signals.
SELECT
    {{range .Columns}}{{.}}, {{end}}
    {{template "row" .}},
    '' AS row_flaw,
    sipHash128(interaction_id) AS row_text,
    false AS row_comparable,
    toUInt64(0) AS row_simhash
FROM ({{template "judged" .}})
