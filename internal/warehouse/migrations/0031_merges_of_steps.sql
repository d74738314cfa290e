-- As for edits.
ALTER TABLE steps MODIFY SETTING merge_selector_base = 16
