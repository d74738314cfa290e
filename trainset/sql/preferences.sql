-- Pairs of texts, what was better and what was worse in the same context: preference.
--
-- Of the parameters, those of the selection are about the worse one's interaction.
WITH
    judged AS ({{template "judged" .}}),
    paired AS
    (
        SELECT
            p.*, p.rejected_interaction_id AS interaction_id, p.origin AS label,
            p.prompt AS row_prompt, p.chosen AS row_completion, p.rejected AS row_rejected,
            row_prompt = '' OR row_rejected = '' OR (row_completion = '' AND NOT no_edit) AS no_text
        FROM preference_pairs(definition = {definition:UInt32}, tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64}) AS p
        WHERE rejected_interaction_id IN (SELECT interaction_id FROM judged)
            {{- if not .Unsettled}}
            AND settled
            {{- end}}
    ),
    flawed AS
    (
        SELECT *, {{template "flaw" .}} AS row_flaw, row_flaw IN ('', 'too_long') AS keep
        FROM paired
    )
SELECT
    if(keep, row_prompt, '') AS text_prompt,
    if(keep, row_completion, '') AS text_chosen,
    if(keep, row_rejected, '') AS text_rejected,
    origin,
    toString(rejected_interaction_id) AS interaction,
    language,
    margin,
    -- An interaction may be in several pairs.
    reinterpret(sipHash128(rejected_interaction_id, origin, chosen_interaction_id), 'UUID') AS row_id,
    started_at AS row_at,
    origin AS row_label,
    {{template "unit" .}} AS row_unit,
    if(user != '', user, toString(session_id)) AS row_user,
    row_flaw,
    sipHash128(text_prompt, '\0', text_chosen, '\0', text_rejected) AS row_text,
    length(text_prompt) + length(text_chosen) + length(text_rejected) >= 64 AS row_comparable,
    ngramSimHash(concat(text_prompt, '\n', text_chosen, '\n', text_rejected), 5) AS row_simhash
FROM flawed
