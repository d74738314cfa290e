-- As for edits.
ALTER TABLE opportunities MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728
