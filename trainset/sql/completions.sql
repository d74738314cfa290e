-- Rows with a prompt and one completion: supervised, unpaired_preference and reward.
--
-- Without consent the texts are not copied. Parameters: see request.go.
WITH
    judged AS ({{template "judged" .}}),
    texts AS ({{template "texts" .}}),
    joined AS
    (
        SELECT
            j.*, t.output AS output, t.final_text AS final_text, t.alternative AS alternative,
            if(t.prompt != '', t.prompt, o.prompt) AS row_prompt,
            bitOr(t.consents, o.consents) AS consents
        FROM judged AS j
        LEFT JOIN (SELECT * FROM texts WHERE id IN (SELECT interaction_id FROM judged)) AS t ON t.id = j.interaction_id
        LEFT JOIN (SELECT * FROM texts WHERE id IN (SELECT opportunity_id FROM judged)) AS o ON o.id = j.opportunity_id
    ),
    completed AS
    (
        SELECT
            *,
            '' AS row_rejected,
            {{- if eq .Format "supervised"}}
            -- What the user made of it, or wrote instead.
            multiIf(
                label = 'accepted', output,
                label = 'partially_accepted', substringUTF8(output, 1, accepted_chars),
                label = 'accepted_modified', final_text,
                alternative
            ) AS row_completion,
            row_prompt = '' OR (row_completion = '' AND NOT alternative_no_edit) AS no_text
            {{- else}}
            output AS row_completion,
            row_prompt = '' OR row_completion = '' AS no_text
            {{- end}}
        FROM joined
    ),
    flawed AS
    (
        SELECT *, {{template "flaw" .}} AS row_flaw, row_flaw IN ('', 'too_long') AS keep
        FROM completed
        {{- if eq .Format "unpaired_preference"}}
        WHERE thumb != '' OR label IN ('accepted', 'rejected')
        {{- end}}
    )
SELECT
    if(keep, row_prompt, '') AS text_prompt,
    if(keep, row_completion, '') AS text_completion,
    {{- if eq .Format "unpaired_preference"}}
    multiIf(thumb = 'up', true, thumb = 'down', false, label = 'accepted') AS label_good,
    {{- else if eq .Format "reward"}}
    reward AS score,
    {{- end}}
    toString(interaction_id) AS interaction,
    language,
    toString(label) AS outcome,
    {{- if ne .Format "reward"}}
    reward,
    {{- end}}
    {{template "row" .}},
    row_flaw,
    sipHash128(text_prompt, '\0', text_completion{{if eq .Format "unpaired_preference"}}, label_good{{end}}) AS row_text,
    -- Of short texts a few characters are much: only equal ones are duplicates.
    length(text_prompt) + length(text_completion) >= 64 AS row_comparable,
    ngramSimHash(concat(text_prompt, '\n', text_completion), 5) AS row_simhash
FROM flawed
