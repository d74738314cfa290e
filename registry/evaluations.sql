-- Evaluations of one tenant by model, the newest first.
--
-- Parameters: tenant; models, empty for any; any_training_set and any_split, or else
-- training_set_id and split; newest, how many of each model; after_model, after_ms,
-- after_training_set_id and after_split, the evaluation before the first; max_rows.
SELECT
    model, evaluated_at, training_set_id, split, unknown, scores.language, scores.rows, scores.missing, scores.exact, scores.prefix,
    scores.edit_similarity, scores.edit_similarity_low, scores.edit_similarity_high,
    scores.common_prefix, scores.common_prefix_low, scores.common_prefix_high, scores.mean_predicted_chars
FROM
(
    SELECT *
    FROM evaluations FINAL
    WHERE tenant = {tenant:String}
        AND (empty({models:Array(String)}) OR model IN {models:Array(String)})
        AND ({any_training_set:Bool} OR training_set_id = {training_set_id:String})
        AND ({any_split:Bool} OR split = {split:String})
    ORDER BY model, evaluated_at DESC, training_set_id, split
    LIMIT {newest:UInt64} BY model
)
WHERE (model, -toUnixTimestamp64Milli(evaluated_at), training_set_id, split)
    > ({after_model:String}, -{after_ms:Int64}, {after_training_set_id:String}, {after_split:String})
ORDER BY model, evaluated_at DESC, training_set_id, split
LIMIT {max_rows:UInt64}
