-- Models of one tenant by name.
--
-- Parameters: tenant; names and stages, empty for any; any_parent and any_training_set,
-- or else parent and training_set_id; after, the name before the first; max_rows.
SELECT model, parent, training_set_id, toInt8(stage), notes, created_at, updated_at, revision
FROM models FINAL
WHERE tenant = {tenant:String}
    AND model > {after:String}
    AND (empty({names:Array(String)}) OR model IN {names:Array(String)})
    AND (empty({stages:Array(Int8)}) OR toInt8(stage) IN {stages:Array(Int8)})
    AND ({any_parent:Bool} OR parent = {parent:String})
    AND ({any_training_set:Bool} OR training_set_id = {training_set_id:String})
ORDER BY model
LIMIT {max_rows:UInt64}
