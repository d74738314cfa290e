SELECT
    toBool(getSetting('async_insert')),
    toBool(getSetting('wait_for_async_insert')),
    (SELECT toUInt64(value) FROM system.merge_tree_settings WHERE name = 'parts_to_delay_insert'),
    -- max_threads is the number of cores unless somebody set it.
    toUInt64(getSetting('max_threads'))
