-- Pairs of what was better and what was worse in the same context. origin says where the
-- better text comes from:
--   opportunity  another suggestion for the same opportunity, which was accepted
--   alternative  what the user wrote instead; '' where they wrote nothing (no_edit)
--   modified     what the accepted suggestion became under the user's hands
--   correction   what a person said the output should have been
-- What was superseded or ignored was not rejected, and is in no pair.
--
-- Parameters: definition; tenant; from_ms and to_ms, Unix milliseconds, to exclusive:
-- when the interaction of the worse text started.
CREATE VIEW preference_pairs AS
WITH
    judged AS
    (
        SELECT
            definition, tenant, started_at, interaction_id, opportunity_id, session_id, user, repository, surface, model, variant, experiment, language,
            label, reward, settles_at, settled, has_alternative, alternative_no_edit
        FROM training_signals
        WHERE definition = {definition:UInt32} AND tenant = {tenant:String} AND shown
            AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 1 HOUR
            AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}) + INTERVAL 1 HOUR
    ),
    texts AS
    (
        SELECT id, consents, prompt, output, final_text, alternative, correction FROM content FINAL
        WHERE tenant = {tenant:String}
            AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 25 HOUR
            AND started_at < fromUnixTimestamp64Milli({to_ms:Int64}) + INTERVAL 1 HOUR
    ),
    signals AS
    (
        SELECT
            j.*, t.output AS output, t.final_text AS final_text, t.alternative AS alternative, t.correction AS correction,
            if(t.prompt != '', t.prompt, o.prompt) AS prompt,
            bitOr(t.consents, o.consents) AS consents
        FROM judged AS j
        INNER JOIN texts AS t ON t.id = j.interaction_id
        LEFT JOIN texts AS o ON o.id = j.opportunity_id
    ),
    pairs AS
    (
        SELECT
            r.*, 'opportunity' AS origin, c.interaction_id AS chosen_interaction_id,
            if(c.label = 'accepted_modified' AND c.final_text != '', c.final_text, c.output) AS chosen,
            toUInt8(0) AS no_edit, c.reward - r.reward AS margin, c.consents AS chosen_consents, c.settled AS chosen_settled
        FROM signals AS r
        INNER JOIN signals AS c ON c.opportunity_id = r.opportunity_id
        WHERE r.label = 'rejected' AND c.label IN ('accepted', 'partially_accepted', 'accepted_modified')
            AND r.opportunity_id != toUUID('00000000-0000-0000-0000-000000000000')

        UNION ALL

        SELECT *, 'alternative', toUUID('00000000-0000-0000-0000-000000000000'), alternative, alternative_no_edit, 0, 0, 1
        FROM signals
        WHERE label = 'rejected' AND has_alternative AND (alternative != '' OR alternative_no_edit)

        UNION ALL

        SELECT *, 'modified', toUUID('00000000-0000-0000-0000-000000000000'), final_text, 0, 0, 0, 1
        FROM signals
        WHERE label = 'accepted_modified' AND final_text != ''

        UNION ALL

        SELECT *, 'correction', toUUID('00000000-0000-0000-0000-000000000000'), correction, 0, 0, 0, 1
        FROM signals
        WHERE correction != ''
    )
SELECT
    definition, tenant, started_at, opportunity_id, session_id, user, repository, surface, model, variant, experiment, language,
    origin, chosen_interaction_id, interaction_id AS rejected_interaction_id,
    prompt, chosen, output AS rejected, no_edit,
    -- Difference of the rewards; 0 where the better text is no interaction.
    margin,
    -- Bit i: some of the texts came with Consent i.
    bitOr(consents, chosen_consents) AS consents,
    settles_at, settled AND chosen_settled AS settled
FROM pairs
WHERE started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    AND chosen != rejected
