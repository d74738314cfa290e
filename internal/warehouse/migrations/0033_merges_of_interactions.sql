-- As for edits.
ALTER TABLE interactions MODIFY SETTING merge_selector_base = 16
